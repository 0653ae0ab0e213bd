/** Numbers, durations and sizes as people read them, in the viewer's language. */

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });

/** A count, such as 1,234. */
export function count(value: number): string {
  return whole.format(value);
}

/** A count of things, such as 1 update or 2 updates. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A number of any size with three significant digits, such as 12.3. */
export function figure(value: number): string {
  return Math.abs(value) >= 1000 ? whole.format(value) : short.format(value);
}

/** A part of a whole, given as 0 to 100. */
export function percent(value: number): string {
  return `${Math.floor(value)}%`;
}

/** A rate, such as 12.3/s or 4/min. */
export function speed(perSecond: number): string {
  if (perSecond === 0 || perSecond >= 1) {
    return `${figure(perSecond)}/s`;
  }
  return perSecond * 60 >= 1 ? `${figure(perSecond * 60)}/min` : `${figure(perSecond * 3600)}/h`;
}

const UNITS: [string, number][] = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
];

/** A duration in its two largest units, such as 2 h 5 min. */
export function duration(seconds: number): string {
  if (seconds < 1) {
    return seconds > 0 ? `${Math.round(seconds * 1000)} ms` : "0 s";
  }
  const parts: string[] = [];
  let left = Math.round(seconds);
  for (const [unit, size] of UNITS) {
    if (left >= size || (parts.length === 0 && size === 1)) {
      parts.push(`${whole.format(Math.floor(left / size))} ${unit}`);
      left %= size;
    } else if (parts.length > 0) {
      break;
    }
    if (parts.length === 2) {
      break;
    }
  }
  return parts.join(" ");
}

/** A duration in its largest unit only, such as 2 h, so that the text changes seldom. */
export function about(seconds: number): string {
  return duration(seconds).split(" ").slice(0, 2).join(" ");
}

/** A size, such as 1.4 MB. */
export function bytes(size: number): string {
  let left = size;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (left < 1000) {
      return `${short.format(left)} ${unit}`;
    }
    left /= 1000;
  }
  return `${short.format(left)} TB`;
}

/** The summary with formatted numbers, and without the percentage, which is shown before it. */
export function summaryText(summary: string): string {
  const numbers = /^\d+(\.\d+)?(\/\d+)?/;
  return summary.replace(/ \(\d+%\)$/, "").replace(numbers, (text) => text.replace(/(?<![\d.])\d+/g, grouped));
}

function grouped(digits: string): string {
  return BigInt(digits).toLocaleString();
}
