import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { colourOf } from "../../lib/colour";
import { day as dayText } from "./days";

export interface DaySeries {
  label: string;
  /** A variable of the style sheet, such as `--tblr-green`. */
  colour: string;
  values: (number | null)[];
  /** How a value is shown as text. */
  show: (value: number) => string;
}

/**
 * Bars, a day each, of several series stacked on each other, or a line where there is one. Below it are the
 * values of the day that the viewer points at.
 *
 * @param days The days, as YYYY-MM-DD in UTC, the oldest first and none left out.
 * @param highest The end of the axis, if not the largest value.
 * @param steps The possible steps between two marks of the axis, if not round numbers.
 */
export function DayChart({
  days,
  series,
  description,
  line = false,
  highest,
  steps,
}: {
  days: string[];
  series: DaySeries[];
  description: string;
  line?: boolean;
  highest?: number;
  steps?: number[];
}) {
  const place = useRef<HTMLDivElement>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const shown = JSON.stringify([days, series.map(({ values }) => values)]);
  useEffect(() => {
    const frame = place.current;
    if (!frame) {
      return;
    }
    let plot: uPlot;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(
        options(frame.clientWidth, series, { line, highest, steps }, setPointed),
        dataOf(days, series),
        frame,
      );
    };
    draw();
    const resized = new ResizeObserver(() => plot.setSize({ width: frame.clientWidth, height: HEIGHT }));
    resized.observe(frame);
    addEventListener("themechange", draw);
    return () => {
      resized.disconnect();
      removeEventListener("themechange", draw);
      plot.destroy();
    };
  }, [shown]);
  const pointedDay = pointed === null ? undefined : days[pointed];
  return (
    <figure class="mb-0">
      <div ref={place} role="img" aria-label={description} />
      <figcaption class="day-legend small mt-2" aria-hidden="true">
        {series.map(({ label, colour, values, show }) => {
          const value = pointed === null ? null : values[pointed];
          return (
            <span key={label} class="text-nowrap">
              <span class="day-swatch" style={{ background: `var(${colour})` }} /> {label}
              {pointedDay && <b class="tabular"> {value === null || value === undefined ? "–" : show(value)}</b>}
            </span>
          );
        })}
        <span class="text-secondary">{pointedDay && dayText(pointedDay)}</span>
      </figcaption>
    </figure>
  );
}

const HEIGHT = 200;
/** With more of them, the bars would look like one thick line. */
const MOST_POINTS = 100;

/** Each series on top of those after it, so that the first of them is the topmost, and drawn first. */
function dataOf(days: string[], series: DaySeries[]): uPlot.AlignedData {
  const times = days.map((one) => Date.parse(one) / 1000);
  const stacked = series.map((_, at) =>
    days.map((_day, index) => {
      const upTo = series.slice(at).map(({ values }) => values[index] ?? null);
      return upTo.every((value) => value === null) ? null : upTo.reduce<number>((sum, value) => sum + (value ?? 0), 0);
    }),
  );
  return [times, ...stacked];
}

function options(
  width: number,
  series: DaySeries[],
  { line, highest, steps }: { line: boolean; highest: number | undefined; steps: number[] | undefined },
  point: (index: number | null) => void,
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: colourOf("--tblr-secondary"),
    grid: { stroke: colourOf("--tblr-border-color"), width: 1 },
    ticks: { show: false },
  };
  const first = series[0];
  return {
    width,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    // Days are in UTC, wherever the viewer is.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, points: { show: line } },
    hooks: { setCursor: [(plot) => point(plot.cursor.idx ?? null)] },
    series: [
      {},
      ...series.map((one) => ({
        stroke: colourOf(one.colour),
        width: line ? 2 : 0,
        points: { show: line && one.values.length <= MOST_POINTS, size: 5, fill: colourOf(one.colour) },
        ...(line
          ? { spanGaps: true }
          : {
              paths: uPlot.paths.bars?.({ size: [0.8, 40] }),
              fill: colourOf(one.colour),
            }),
      })),
    ] as uPlot.Series[],
    axes: [
      {
        ...axis,
        grid: { show: false },
        gap: 8,
        size: 32,
        space: 70,
        incrs: [1, 2, 7, 14, 28, 56, 91, 182].map((days) => days * 86_400),
        values: axisDays,
      },
      {
        ...axis,
        ...(steps ? { incrs: steps } : {}),
        size: 56,
        space: 36,
        ...(first ? { values: (_plot, ticks) => ticks.map(first.show) } : {}),
      },
    ],
    scales: {
      // Half a day on either side, so that the outer bars are not cut.
      x: { range: (_plot, low, high) => [low - 43_200, high + 43_200] },
      y: { range: (_plot, _low, high) => [0, highest ?? (high || 1) * 1.05] },
    },
  };
}

const axisDay = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  timeZone: "UTC",
});

function axisDays(_plot: uPlot, ticks: number[]): string[] {
  return ticks.map((tick) => axisDay.format(tick * 1000));
}
