"use strict";
// Drag the draft, or the end of a medicine: the service judges that day, and the page shows what it said. The line follows
// the hand at once, everything else is the server's. Works without: the dates are fields, and one press sends them.
(() => {
  const form = document.querySelector(".moves");
  const state = document.getElementById("state");
  const first = Date.parse(`${form.dataset.first}T00:00:00Z`);
  const DAY = 86_400_000;
  const iso = (n) => new Date(first + n * DAY).toISOString().slice(0, 10);
  const index = (text) => Math.round((Date.parse(`${text}T00:00:00Z`) - first) / DAY);
  const said = (n) => new Date(first + n * DAY).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
  const field = (slide) => document.getElementById(slide.dataset.for);
  const slides = [...form.querySelectorAll(".slide")];
  const draft = slides[0];
  const sent = slides.map((slide) => slide.value);
  let latest = 0;
  let wait = 0;
  let held = false;

  const tell = (slide) => slide.setAttribute("aria-valuetext", said(Number(slide.value)));
  const follow = () => {
    const n = Number(draft.value);
    for (const chart of document.querySelectorAll(".timeline")) {
      const { pad, width, days } = chart.dataset;
      const at = Number(pad) + ((n + 0.5) / Number(days)) * (Number(width) - 2 * Number(pad));
      const group = chart.querySelector(".draft");
      group.setAttribute("transform", `translate(${at - Number(group.dataset.at)} 0)`);
      group.querySelector("[data-day]").textContent = said(n).replace(/ \d{4}$/, "");
    }
  };

  const judge = async () => {
    const mine = ++latest;
    const moved = { as_of: document.getElementById("as-of").value };
    for (const input of form.querySelectorAll("[name^='end:']")) if (input.value) moved[input.name] = input.value;
    try {
      const answer = await fetch(form.dataset.live, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ body: JSON.parse(form.elements.body.value), moved, first: form.dataset.first, last: form.dataset.last }),
      });
      if (mine !== latest) return;
      if (!answer.ok) throw new Error("refused");
      show(await answer.text());
      document.getElementById("live-verdict").dataset.judged = String(mine);
      state.textContent = `Judged again: ${document.getElementById("live-verdict").dataset.severity}`;
    } catch {
      if (mine === latest) state.textContent = "The service could not judge this day.";
    }
  };
  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    for (const part of fresh.querySelectorAll("[id^=live-]")) {
      if (held && part.id === "live-chart") continue; // a finger holds on to the chart that it touched
      const shown = document.getElementById(part.id);
      if (shown.innerHTML !== part.innerHTML || shown.className !== part.className) shown.replaceWith(document.adoptNode(part));
    }
    follow();
  };
  const soon = () => {
    clearTimeout(wait);
    wait = setTimeout(judge, 60);
    document.getElementById("reset").hidden = slides.every((slide, n) => slide.value === sent[n]);
  };

  for (const slide of slides) {
    slide.hidden = false;
    tell(slide);
    slide.addEventListener("input", () => {
      field(slide).value = iso(Number(slide.value));
      tell(slide);
      if (slide === draft) follow();
      soon();
    });
    field(slide).addEventListener("change", (event) => {
      if (!event.target.value) return;
      slide.value = String(index(event.target.value));
      tell(slide);
      if (slide === draft) follow();
      soon();
    });
    if (!field(slide).value) field(slide).value = field(slide).dataset.is;
  }
  for (const input of form.querySelectorAll("[name^='end:']")) {
    // an end that nobody moved is not told: the record stays as it was sent
    const name = input.name;
    input.removeAttribute("name");
    const moved = () => { input.name = name; };
    input.addEventListener("change", moved);
    slides.find((slide) => field(slide) === input).addEventListener("input", moved);
  }
  for (const button of form.querySelectorAll("[data-without]")) button.hidden = true;
  form.addEventListener("submit", (event) => { event.preventDefault(); judge(); });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    slides.forEach((slide, n) => {
      slide.value = sent[n];
      field(slide).value = iso(Number(sent[n]));
      if (slide !== draft) field(slide).removeAttribute("name");
      tell(slide);
    });
    follow();
    soon();
  });

  // the chart itself can be dragged: a finger or the mouse takes the draft to that day
  const take = (event, chart) => {
    const box = chart.getBoundingClientRect();
    const { pad, width, days, known } = chart.dataset;
    const at = ((event.clientX - box.left) / box.width) * Number(width) - Number(pad);
    const n = Math.floor((at / (Number(width) - 2 * Number(pad))) * Number(days));
    const day = String(Math.min(Number(days) - 1, Math.max(Number(known), n)));
    if (day === draft.value) return;
    draft.value = day;
    draft.dispatchEvent(new Event("input"));
  };
  const place = document.getElementById("live-chart").parentElement;
  place.addEventListener("pointerdown", (event) => {
    const chart = event.target.closest(".timeline");
    if (!chart || event.button > 0) return;
    held = true;
    event.preventDefault();
    take(event, chart);
  });
  window.addEventListener("pointermove", (event) => {
    if (!held) return;
    const chart = [...document.querySelectorAll(".timeline")].find((each) => each.getBoundingClientRect().width);
    take(event, chart);
  });
  for (const over of ["pointerup", "pointercancel"]) window.addEventListener(over, () => {
    if (held) soon();
    held = false;
  });
})();
