/**
 * Computes the current value of a colour variable of the style sheet, because a canvas does not understand variables.
 *
 * @param variable Its name, such as `--tblr-blue`.
 * @param share How opaque it is, 0 to 100 percent.
 * @returns A colour that a canvas understands.
 */
export function colourOf(variable: string, share = 100): string {
  const probe = document.createElement("span");
  probe.style.color = `color-mix(in srgb, var(${variable}, gray) ${share}%, transparent)`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
