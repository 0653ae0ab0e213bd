/**
 * Finds out what a colour of the style sheet is just now: a canvas does not know variables, and theirs refer to others.
 *
 * @param variable Such as `--tblr-blue`.
 * @param share How much of it is left, as 0 to 100 percent; the rest is transparent.
 * @returns A colour that a canvas takes.
 */
export function colourOf(variable: string, share = 100): string {
  const probe = document.createElement("span");
  probe.style.color = `color-mix(in srgb, var(${variable}, gray) ${share}%, transparent)`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
