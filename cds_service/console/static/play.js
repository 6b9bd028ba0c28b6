"use strict";
// The playground as an EHR: the page asks the server for the call of a story, sends it to the public hook itself, and has
// the answer drawn. Works without: "Send" and every suggestion are plain form submissions.
(() => {
  const form = document.getElementById("order");
  const cards = document.getElementById("cards");
  const state = document.getElementById("state");
  const body = document.getElementById("body");
  const find = (id) => document.getElementById(id);
  const FIELDS = ["drug", "dose", "unit", "times", "sig"];
  const WAY = ["story", "hook", "release", "version"];
  let answered = 0;
  let before = Promise.resolve();
  const story = JSON.parse(form.dataset.story);

  const post = (path, value) =>
    fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) });
  const ask = async (path, value) => {
    const answer = await post(path, value);
    if (!answer.ok) throw new Error("refused");
    return answer.json();
  };
  const way = () => new URLSearchParams(WAY.map((name) => [name, form.elements[name].value]));
  const current = () => JSON.parse(body.value);
  const path = () => find("path").textContent.slice(5);

  // the story and what was changed in its order: enough to come back here, and nothing else of the call
  const link = () => {
    const asked = way();
    for (const name of FIELDS) {
      const text = form.elements[name].value.trim();
      if (text && text !== story[name]) asked.set(name, text);
    }
    return asked;
  };

  const fill = (made) => {
    body.value = JSON.stringify(made.body, null, 2);
    find("path").textContent = `POST ${made.path}`;
    find("chart").innerHTML = made.chart;
    find("curl").value = made.curl;
    const drafted = Object.values(made.form).some((text) => text);
    find("emptied").hidden = drafted;
    form.classList.toggle("empty", !drafted);
    for (const name of FIELDS) {
      const field = form.elements[name];
      const text = made.form[name];
      if (field.tagName === "SELECT" && ![...field.options].some((option) => option.value === text)) field.add(new Option(text, text));
      field.value = text;
    }
    find("share").href = `${location.pathname}?${link()}`;
  };

  const send = async (sent) => {
    cards.classList.add("busy");
    const response = await post(path(), sent);
    const answer = await response.json();
    const drawn = await (await post(form.dataset.draw, { answer, status: response.status, story: form.elements.story.value })).text();
    cards.innerHTML = drawn;
    cards.classList.remove("busy");
    for (const part of cards.querySelectorAll("[data-override]")) part.hidden = false;
    find("response").value = JSON.stringify(answer, null, 2);
    find("status").textContent = String(response.status);
    const why = document.querySelector("#why textarea");
    if (why) why.value = JSON.stringify(sent);
    const shown = (answer.cards || []).map((card) => card.indicator);
    state.textContent = response.status === 200 ? (shown.length ? `Answered: ${shown.join(", ")}` : "Answered: no card") : `Answered ${response.status}`;
    answered += 1;
    cards.dataset.answered = String(answered);
  };

  const attempt = async (work) => {
    try {
      await work();
    } catch (error) {
      cards.classList.remove("busy");
      state.textContent = error instanceof SyntaxError ? "The request is not valid JSON." : "The service did not answer.";
    }
  };
  // one after the other, each on what the one before it left: a change and the press that follows it at once
  const show = (make) => {
    before = before.then(() => attempt(async () => {
      const made = await make();
      fill(made);
      await send(made.body);
    }));
    return before;
  };
  const tell = () => show(async () => (await fetch(`${form.dataset.request}?${link()}`)).json());
  const change = (name, text) => show(() => ask(form.dataset.edit, { body: current(), form: { [name]: text } }));

  const feed = async (card, outcome) => {
    const item = { card: card.dataset.card, outcomeTimestamp: new Date().toISOString(), ...outcome };
    const response = await post(`${path()}/feedback`, { feedback: [item] });
    return response.ok ? "Feedback sent" : "Feedback was refused";
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (button?.name === "press") {
      const { suggestion } = JSON.parse(button.value);
      const card = button.closest("[data-card]");
      attempt(async () => {
        const said = await feed(card, { outcome: "accepted", acceptedSuggestions: [{ id: suggestion.uuid }] });
        await show(() => ask(form.dataset.press, { body: current(), suggestion }));
        state.textContent = `${said}. ${state.textContent}`;
      });
      return;
    }
    show(() => ask(form.dataset.edit, { body: current(), form: {} }));
  });
  cards.addEventListener("click", (event) => {
    const dismiss = event.target.closest("[data-override] button");
    if (!dismiss) return;
    const card = dismiss.closest("[data-card]");
    const reason = JSON.parse(card.querySelector("select").value);
    attempt(async () => {
      const said = await feed(card, { outcome: "overridden", overrideReason: { reason } });
      card.querySelector(".fed").textContent = `Overridden. ${said}.`;
      card.classList.add("done");
      card.querySelector("[data-override]").hidden = true;
    });
  });

  for (const name of FIELDS) form.elements[name].addEventListener("change", (event) => change(name, event.target.value));
  for (const name of WAY.slice(1)) form.elements[name].addEventListener("change", tell);
  find("again").addEventListener("click", () => { location.href = `${location.pathname}?${way()}`; });

  let wait = 0;
  form.elements.drug.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => attempt(async () => {
      const found = await (await fetch(`${form.dataset.drugs}?${new URLSearchParams({ q: form.elements.drug.value })}`)).json();
      find("names").replaceChildren(...found.names.map((name) => new Option(name, name)));
    }), 150);
  });

  find("copy").hidden = !navigator.clipboard;
  find("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(find("curl").value);
    state.textContent = "Copied.";
  });

  if (cards.querySelector(".card")) for (const part of cards.querySelectorAll("[data-override]")) part.hidden = false;
  else before = attempt(() => send(current()));
})();
