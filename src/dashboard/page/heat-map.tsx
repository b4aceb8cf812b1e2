import { useEffect, useRef, useState } from 'preact/hooks';
import { counted } from '../../errors/index.ts';
import type { ShownRun } from '../api.ts';
import { useTheme } from './theme.ts';

const rowHeight = 18;

/** The colour of a keep rate: from transparent at 0 to blue at 1. */
const rateColour = (rate: number) => `rgb(15 124 192 / ${(100 * rate).toFixed(0)}%)`;

/**
 * Keep rates of blocks over steps, the deepest block on top. A bar in a cell marks a block that the step's first
 * micro-batch skipped. The pointer or the arrow keys select a cell, whose values are shown as text.
 */
export function HeatMap({ run }: { run: ShownRun }) {
  const { columns, layers, gates, name } = run;
  const { step, keepRates } = columns;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [cell, setCell] = useState<{ column: number; block: number } | undefined>();
  const [width, setWidth] = useState(600);
  const { grid, mark } = useTheme();
  const height = layers * rowHeight;

  const isEmpty = step.length === 0;

  useEffect(() => {
    const place = canvas.current?.parentElement;
    if (!place) return;
    const resized = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    resized.observe(place);
    return () => resized.disconnect();
  }, [isEmpty]);

  useEffect(() => {
    const { devicePixelRatio: ratio } = window;
    const element = canvas.current;
    if (!element) return;
    element.width = width * ratio;
    element.height = height * ratio;
    const draw = element.getContext('2d')!;
    draw.scale(ratio, ratio);
    const columnWidth = width / step.length;
    for (const [column, rates] of keepRates.entries()) {
      const left = Math.floor(column * columnWidth);
      const right = Math.max(left + 1, Math.floor((column + 1) * columnWidth));
      for (const [block, rate] of rates.entries()) {
        const top = (layers - 1 - block) * rowHeight;
        draw.fillStyle = rateColour(rate);
        draw.fillRect(left, top, right - left, rowHeight - 1);
        if (gates[column]?.[block] !== false) continue;
        draw.fillStyle = mark;
        draw.fillRect(left, top + rowHeight - 7, right - left, 6);
      }
    }
    if (cell) {
      draw.strokeStyle = grid;
      draw.lineWidth = 2;
      draw.strokeRect(
        cell.column * columnWidth,
        (layers - 1 - cell.block) * rowHeight,
        Math.max(3, columnWidth),
        rowHeight,
      );
    }
  }, [columns, gates, width, cell, grid, mark]);

  const choose = (column: number, block: number) =>
    setCell({ column: within(column, step.length), block: within(block, layers) });
  const point = ({ offsetX, offsetY }: PointerEvent) =>
    choose(Math.floor((offsetX / width) * step.length), layers - 1 - Math.floor(offsetY / rowHeight));
  const press = (event: KeyboardEvent) => {
    const moves: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    const { column, block } = cell ?? { column: step.length, block: 0 };
    const move = moves[event.key];
    const ends: Record<string, number> = { Home: 0, End: step.length - 1 };
    if (move) choose(column + move[0], block + move[1]);
    else if (event.key in ends) choose(ends[event.key]!, block);
    else return;
    event.preventDefault();
  };
  const rate = cell && keepRates[cell.column]?.[cell.block];
  const gate = cell && gates[cell.column]?.[cell.block];
  return (
    <figure class="heat-map" data-run={name} data-rows={layers} data-columns={step.length}>
      <figcaption>
        Keep rate of each block <span class="unit">{name}</span>
      </figcaption>
      {isEmpty ? (
        <p class="empty">no data yet</p>
      ) : (
        <div class="heat-map-body">
          <div class="heat-map-rows" aria-hidden="true">
            {Array.from({ length: layers }, (_, i) => (
              <span key={i}>{layers - i}</span>
            ))}
          </div>
          <div class="heat-map-canvas">
            <canvas
              ref={canvas}
              style={{ width: `${width}px`, height: `${height}px` }}
              tabIndex={0}
              role="img"
              aria-label={`Keep rates of ${counted(layers, 'block')} over the steps; select single cells with the arrow keys`}
              onPointerMove={point}
              onKeyDown={press}
            />
            <div class="heat-map-steps" aria-hidden="true">
              <span>step {step[0]}</span>
              <span>step {step.at(-1)}</span>
            </div>
          </div>
        </div>
      )}
      <p class="legend">
        <span class="swatch" style={{ background: rateColour(1) }} /> always runs
        <span class="swatch" style={{ background: rateColour(0.5) }} /> runs half the time
        {gates.length > 0 ? (
          <>
            <span class="swatch" style={{ background: mark }} /> skipped by the step's first micro-batch
          </>
        ) : (
          ', with separate gates for each sequence'
        )}
      </p>
      <output class="cell">
        {cell && rate !== undefined
          ? `step ${step[cell.column]}, block ${cell.block + 1}: keep rate ${rate.toFixed(3)}${gate === undefined ? '' : gate ? ', ran' : ', skipped'}`
          : 'point at a cell or use the arrow keys'}
      </output>
    </figure>
  );
}

const within = (index: number, length: number) => Math.max(0, Math.min(length - 1, index));
