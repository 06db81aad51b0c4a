// What the pages do on their own: the rest of the console works without this file.

import { follow } from "./live.js";
import { checkForm } from "./form.js";
import { enableKeys } from "./keys.js";
import { enableQuery } from "./query.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    await navigator.clipboard.writeText(source.textContent);
    document.getElementById("announcement").textContent = button.dataset.done;
    const word = button.querySelector("span");
    const before = word.textContent;
    word.textContent = button.dataset.done;
    setTimeout(() => { word.textContent = before; }, 2000);
  });
}

// A question opens as a dialog: its focus begins on the safe answer, and Escape means no.
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-dialog]");
  const dialog = link && document.getElementById(link.dataset.dialog);
  if (dialog?.showModal) {
    event.preventDefault();
    dialog.showModal();
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
});

// A button that was pressed says so, and cannot be pressed twice. The page may come back from the browser's history.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (event.defaultPrevented || !button?.dataset.busy) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  button.setAttribute("aria-disabled", "true");
  button.querySelector("span").textContent = button.dataset.busy;
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

document.querySelector("[autofocus]:not(dialog *)")?.focus();

follow();
checkForm();
enableKeys();
enableQuery();
