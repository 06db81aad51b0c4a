// The form of an export is checked while it is filled in. A check never blocks typing; only the server refuses.

import { take } from "./live.js";

const TYPING_MS = 300;

export function checkForm() {
  const form = document.querySelector("form[data-check]");
  if (!form) return;
  form.querySelector("[data-without-script]").hidden = true;
  let timer;
  let running;

  async function send(intent, signal) {
    const fields = new FormData(form);
    fields.set("intent", intent);
    // A file is read when the export starts.
    fields.delete("filter_upload");
    const response = await fetch(form.action, { method: "POST", body: fields, signal });
    if (response.ok) take(await response.text());
  }

  async function check() {
    running?.abort();
    running = new AbortController();
    try {
      await send("check", running.signal);
    } catch {
      // The next key or the server's answer to the form says what is wrong.
    }
  }

  // A part is made without leaving the page, so that a chosen file stays chosen.
  form.addEventListener("submit", async (event) => {
    const button = event.submitter;
    if (button && "enter" in button.dataset) {
      event.preventDefault();
      clearTimeout(timer);
      check();
      return;
    }
    if (!button || !("part" in button.dataset)) return;
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    const label = button.querySelector("span");
    const word = label.textContent;
    button.setAttribute("aria-disabled", "true");
    label.textContent = button.dataset.busy;
    try {
      await send(button.value);
      label.textContent = word;
    } catch {
      label.textContent = button.dataset.failed;
    }
    button.removeAttribute("aria-disabled");
  });

  form.addEventListener("input", (event) => {
    if (event.target.type === "file") return;
    clearTimeout(timer);
    timer = setTimeout(check, event.target.type === "radio" ? 0 : TYPING_MS);
    // What was said of a field is old once the field has changed.
    event.target.removeAttribute("aria-invalid");
  });
  // What was typed before this script ran, and what a browser fills in again on the way back, is checked too.
  if ([...form.elements].some(isChanged)) check();
}

function isChanged({ type, value, defaultValue, checked, defaultChecked }) {
  if (type === "radio" || type === "checkbox") return checked !== defaultChecked;
  return ["text", "textarea", "datetime-local", "search"].includes(type) && value !== defaultValue;
}
