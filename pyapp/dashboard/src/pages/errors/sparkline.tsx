import { count } from "../../lib/format";

const WIDTH = 120;
const HEIGHT = 28;

/** How the errors are spread over the time, as small bars, with a sentence for screen readers. */
export function Sparkline({ trend, since, until }: { trend: number[]; since: string; until: string }) {
  const most = Math.max(...trend, 1);
  const step = WIDTH / trend.length;
  return (
    <svg
      class="sparkline text-red"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={inWords(trend, since, until)}
    >
      <line class="sparkline-base" x1={0} x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} />
      {trend.map((errors, part) => {
        // A single error among thousands stays visible.
        const height = errors === 0 ? 0 : Math.max(2, (errors / most) * (HEIGHT - 1));
        return <rect key={part} x={part * step + 0.5} y={HEIGHT - height} width={step - 1} height={height} rx={0.5} />;
      })}
    </svg>
  );
}

/** Says what the bars show. */
function inWords(trend: number[], since: string, until: string): string {
  const begin = new Date(since).getTime();
  const part = (new Date(until).getTime() - begin) / trend.length;
  const most = Math.max(...trend);
  const peak = trend.indexOf(most);
  const clock = new Intl.DateTimeFormat(undefined, {
    ...(part < 3_600_000 * 2 ? {} : ({ month: "short", day: "numeric" } as const)),
    hour: "numeric",
    minute: "2-digit",
  });
  const from = clock.format(begin + peak * part);
  const to = clock.format(begin + (peak + 1) * part);
  return `${count(most)} at most, between ${from} and ${to}; ${count(trend.at(-1) ?? 0)} in the last part of the time.`;
}
