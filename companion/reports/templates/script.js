document.documentElement.classList.add("scripted");
const button = document.getElementById("toggle-code");
if (button) {
  const blocks = document.querySelectorAll("details.code");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    blocks.forEach((block) => { block.open = open; });
    button.setAttribute("aria-pressed", String(open));
    button.textContent = open ? "Hide all code" : "Show all code";
  });
}
