import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { colourOf } from "../lib/colour";

export interface Series {
  label: string;
  /** A variable of the style sheet, such as `--tblr-blue`. */
  colour: string;
  /** How a value is shown as text; null is unknown. */
  show: (value: number) => string;
  bars?: boolean;
}

interface Picture {
  times: number[];
  values: (number | null)[][];
  series: Series[];
}

/**
 * Values over time. Screen readers get `description`, which should say in a sentence what the chart shows.
 *
 * @param times Seconds since 1970, rising.
 * @param values For each series a value for each time; null is a gap.
 */
export function Chart({
  times,
  values,
  series,
  description,
  height = 220,
}: Picture & { description: string; height?: number }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  // A redraw, such as for other colours, draws the newest data.
  const newest = useRef<Picture>({ times, values, series });
  newest.current = { times, values, series };
  useEffect(() => {
    const frame = place.current;
    if (!frame) {
      return;
    }
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(frame, newest, height), dataOf(newest.current), frame);
    };
    draw();
    const resized = new ResizeObserver(() => {
      // While it is hidden it has no width.
      if (frame.clientWidth > 0 && plot.current?.width !== frame.clientWidth) {
        plot.current?.setSize({ width: frame.clientWidth, height });
      }
    });
    resized.observe(frame);
    addEventListener("themechange", draw);
    return () => {
      resized.disconnect();
      removeEventListener("themechange", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [series.map((one) => `${one.label} ${one.colour} ${one.bars}`).join(), height]);
  useEffect(() => {
    plot.current?.setData(dataOf(newest.current));
  }, [times, values]);
  return (
    <figure class="chart mb-0">
      <div ref={place} role="img" aria-label={description} />
    </figure>
  );
}

function dataOf({ times, values }: Picture): uPlot.AlignedData {
  return [times, ...values] as uPlot.AlignedData;
}

const MINUTE = 60;
const DAY = 86_400;
const second = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const minute = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const instant = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** Times below the chart in the viewer's language, as precise as needed to tell them apart. */
function timeTicks(_plot: uPlot, ticks: number[], _axis: number, _space: number, step: number): string[] {
  const format = step >= DAY ? day : step >= MINUTE ? minute : second;
  const texts = ticks.map((tick) => format.format(tick * 1000));
  // Within a second they would all be the same.
  return texts.map((text, index) => (text === texts[index - 1] ? "" : text));
}

/** From the first time to the last, with half a bar on either side, so that the outer bars are not cut. */
function barRange(times: number[], low: number, high: number): [number, number] {
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? time));
  const half = (gaps.length > 0 ? Math.min(...gaps) : MINUTE) / 2;
  // For a single time, uPlot says that the last one is years later.
  return [low - half, (gaps.length > 0 ? high : low) + half];
}

function options(frame: HTMLElement, newest: { current: Picture }, height: number): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: colourOf("--tblr-secondary"),
    font: `12px ${getComputedStyle(frame).fontFamily}`,
    grid: { stroke: colourOf("--tblr-border-color"), width: 1 },
    ticks: { show: false },
  };
  const { series } = newest.current;
  const show = (index: number, value: number) => newest.current.series[index]?.show(value) ?? String(value);
  return {
    width: frame.clientWidth,
    height,
    cursor: { drag: { x: false, y: false } },
    series: [
      { label: "Time", value: (_plot: uPlot, at: number | null) => (at === null ? "–" : instant.format(at * 1000)) },
      ...series.map((one, index) => ({
        label: one.label,
        stroke: colourOf(one.colour),
        width: one.bars ? 0 : 2,
        ...(one.bars ? { points: { show: false } } : {}),
        value: (_plot: uPlot, value: number | null) => (value === null ? "–" : show(index, value)),
        fill: one.bars ? colourOf(one.colour) : series.length === 1 ? colourOf(one.colour, 12) : undefined,
        ...(one.bars ? { paths: uPlot.paths.bars?.({ size: [0.7, 40] }) } : {}),
      })),
    ] as uPlot.Series[],
    axes: [
      { ...axis, values: timeTicks, space: 80 },
      { ...axis, size: 64, values: (_plot: uPlot, ticks: number[]) => ticks.map((tick) => show(0, tick)) },
    ],
    scales: {
      ...(series.some((one) => one.bars)
        ? { x: { range: (_plot: uPlot, low: number, high: number) => barRange(newest.current.times, low, high) } }
        : {}),
      y: { range: (_plot: uPlot, _low: number | null, high: number | null) => [0, (high || 1) * 1.05] },
    },
  };
}
