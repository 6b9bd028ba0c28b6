"use strict";
// While something is ticked or changed, the server judges the form as it stands and sends what is to be shown: verdict,
// marks, dates, chart. Works without: every button is a plain form submission, "Update" does the same by one press.
(() => {
  const form = document.querySelector("form[data-preview]");
  const status = document.getElementById("status");

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button?.hasAttribute("data-once")) return;
    if (button.getAttribute("aria-disabled")) event.preventDefault();
    button.setAttribute("aria-disabled", "true");
  });
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value);
      button.textContent = button.dataset.copied;
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  document.getElementById("problem")?.focus();
  if (!form) return;

  for (const button of form.querySelectorAll("[data-update]")) button.hidden = true;
  let wait = 0;
  let latest = 0;
  const show = (text) => {
    const before = document.getElementById("headline").textContent;
    for (const fresh of new DOMParser().parseFromString(text, "text/html").querySelectorAll("[id^=live-]")) {
      const shown = document.getElementById(fresh.id);
      if (!shown || shown.innerHTML === fresh.innerHTML) continue;
      shown.innerHTML = fresh.innerHTML;
      const field = document.querySelector(`[aria-describedby~="${fresh.id}"]`);
      if (field) field.toggleAttribute("aria-invalid", false);
      if (field && fresh.textContent) field.setAttribute("aria-invalid", "true");
    }
    const verdict = document.getElementById("live-verdict").textContent.replace(/\s+/g, " ").trim();
    status.textContent = document.getElementById("headline").textContent === before && status.textContent ? status.textContent : verdict;
    form.dataset.judged = String(latest);
  };
  const judge = async () => {
    const mine = ++latest;
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
      if (mine !== latest) return;
      if (!answer.ok) throw new Error("refused");
      show(await answer.text());
    } catch {
      if (mine === latest) status.textContent = status.dataset.notRedrawn;
      for (const button of form.querySelectorAll("[data-update]")) button.hidden = false;
    }
  };
  const takeDefaults = (radio) => {
    form.elements.drawn.value = radio.value;
    for (const [name, field] of Object.entries(JSON.parse(radio.dataset.fields))) {
      form.elements[name].value = field.value;
      form.elements[name].readOnly = field.fixed;
      document.getElementById(`hint-${name}`).textContent = field.hint;
    }
  };
  form.addEventListener("input", (event) => {
    if (event.target.name === "schedule") takeDefaults(event.target);
    if (event.target.name === "last_opioid" && event.target.value === "none") form.elements.last_opioid_on.value = "";
    clearTimeout(wait);
    wait = setTimeout(judge, 250);
  });
})();
