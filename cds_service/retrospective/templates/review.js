"use strict";
const form = document.getElementById("answers");
const numbers = () => [...new Set([...form.querySelectorAll("input")].map((i) => i.name).filter((n) => n !== "who"))];
const tell = () => {
  const given = new FormData(form);
  document.getElementById("left").textContent = `${numbers().filter((n) => !given.get(n)).length} of ${numbers().length} without an answer`;
};
form.addEventListener("change", tell);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = new FormData(form);
  const lines = ["number,answer", ...numbers().map((n) => `${n.slice(1)},${given.get(n) ?? ""}`)];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = `reviewer-${given.get("who")}.csv`;
  link.click();
});
tell();
