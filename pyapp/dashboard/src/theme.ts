// Runs before anything is painted, so that a dark page does not flash white. The viewer's choice takes precedence over
// the system's preference, also when that changes, or when the viewer chooses in another tab.
const KEY = "tallymark-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

function apply(): void {
  document.documentElement.dataset.bsTheme =
    (chosen() ?? (dark.matches ? "dark" : "light")) === "dark" ? "dark" : "light";
  dispatchEvent(new Event("themechange"));
}

apply();
dark.addEventListener("change", apply);
addEventListener("storage", (event) => event.key === KEY && apply());
