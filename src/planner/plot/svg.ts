/** The few shapes that a chart needs, as SVG text. Coordinates are pixels. */

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function rect(box: Box, fill: string, title?: string): string {
  const size = `x="${px(box.x)}" y="${px(box.y)}" width="${px(box.width)}" height="${px(box.height)}"`;
  if (title === undefined) return `<rect ${size} fill="${fill}"/>`;
  return `<rect ${size} fill="${fill}"><title>${escapeXml(title)}</title></rect>`;
}

export function line(
  ends: { x1: number; y1: number; x2: number; y2: number },
  stroke: string,
  dash = "none",
): string {
  const { x1, y1, x2, y2 } = ends;
  return `<line x1="${px(x1)}" y1="${px(y1)}" x2="${px(x2)}" y2="${px(y2)}" stroke="${stroke}" stroke-dasharray="${dash}"/>`;
}

export interface TextStyle {
  anchor?: "start" | "middle" | "end";
  size?: number;
  fill?: string;
  bold?: boolean;
}

export function text(at: { x: number; y: number }, content: string, style: TextStyle = {}): string {
  const { anchor = "start", size = 12, fill = "#222", bold = false } = style;
  const weight = bold ? ' font-weight="bold"' : "";
  return `<text x="${px(at.x)}" y="${px(at.y)}" text-anchor="${anchor}" font-size="${size}" fill="${fill}"${weight}>${escapeXml(content)}</text>`;
}

/** What a text of this size takes, roughly: fonts differ. */
export function textWidth(content: string, size = 12): number {
  return Array.from(content).length * size * 0.58;
}

function px(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function escapeXml(content: string): string {
  const escapes = new Map([
    ["&", "&amp;"],
    ["<", "&lt;"],
    [">", "&gt;"],
    ['"', "&quot;"],
  ]);
  return content.replace(/[&<>"]/g, (mark) => escapes.get(mark) ?? mark);
}

/** Round numbers from 0 to at least `max`, about `count` of them. */
export function niceTicks(max: number, count: number): number[] {
  if (!(max > 0)) return [0];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough) ?? rough;
  const ticks: number[] = [];
  for (let index = 0; index * step < max + step; index += 1) {
    ticks.push(Number((index * step).toPrecision(12)));
  }
  return ticks;
}
