"use strict";
// Redraws the plan while a field changes, and lets a button that writes be pressed once. Works without: every
// button is a plain form submission, and the server refuses a second write by itself.
(() => {
  const form = document.querySelector("form[data-preview]");
  const drawn = document.getElementById("drawn-plan");
  const status = document.getElementById("status");

  for (const button of document.querySelectorAll("button[data-once]")) {
    button.form.addEventListener("submit", (event) => {
      if (event.submitter !== button) return;
      if (button.getAttribute("aria-disabled")) event.preventDefault();
      button.setAttribute("aria-disabled", "true");
    });
  }
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  document.getElementById("problem")?.focus();
  if (!form || !drawn) return;

  let wait = 0;
  let latest = 0;
  const redraw = async () => {
    const mine = ++latest;
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
      if (mine !== latest) return;
      if (!answer.ok) throw new Error("refused");
      drawn.innerHTML = await answer.text();
      status.textContent = status.dataset.redrawn;
    } catch {
      status.textContent = status.dataset.notRedrawn;
    }
  };
  const takeDefaults = (radio) => {
    const fields = JSON.parse(radio.dataset.fields);
    form.elements.drawn.value = radio.value;
    for (const [name, field] of Object.entries(fields)) {
      form.elements[name].value = field.value;
      form.elements[name].readOnly = field.fixed;
      document.getElementById(`hint-${name}`).textContent = field.hint;
    }
  };
  form.addEventListener("input", (event) => {
    if (!event.target.closest("[aria-labelledby=plan]")) return;
    if (event.target.name === "schedule") takeDefaults(event.target);
    clearTimeout(wait);
    wait = setTimeout(redraw, 250);
  });
})();
