// Shortcuts of one key, which can be turned off.

const STORED = "dicom-export-keys";

export function enableKeys() {
  const dialog = document.getElementById("keys");
  const show = document.getElementById("show-keys");
  const box = document.getElementById("keys-on");
  show.hidden = false;
  show.addEventListener("click", () => dialog.showModal());
  box.checked = localStorage.getItem(STORED) !== "off";
  box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));

  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, dialog");
    if (!box.checked || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "?") {
      event.preventDefault();
      dialog.showModal();
    }
    const filter = document.querySelector('input[aria-keyshortcuts="/"]');
    if (event.key === "/" && filter) {
      event.preventDefault();
      filter.focus();
    }
  });
}
