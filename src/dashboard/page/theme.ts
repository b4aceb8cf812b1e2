import { useEffect, useState } from 'preact/hooks';

interface Theme {
  ink: string;
  grid: string;
  /** On blue of any strength. */
  mark: string;
}

const themes = {
  light: { ink: '#444', grid: '#e3e3e3', mark: '#1b1d21' },
  dark: { ink: '#bbb', grid: '#333', mark: '#fff' },
};
const darkness = matchMedia('(prefers-color-scheme: dark)');

/** The canvas colours for the system's light or dark theme. */
export function useTheme(): Theme {
  const [isDark, setDark] = useState(darkness.matches);
  useEffect(() => {
    const follow = () => setDark(darkness.matches);
    darkness.addEventListener('change', follow);
    return () => darkness.removeEventListener('change', follow);
  }, []);
  return isDark ? themes.dark : themes.light;
}

/** The colour and the dashes of a run's lines. */
export interface RunStyle {
  colour: string;
  /** Lengths of dashes and gaps in pixels; empty for a solid line. */
  dash: number[];
}

/**
 * The styles of overlaid runs: colours that colour-blind people can tell apart (Okabe and Ito), readable on light and dark
 * backgrounds, and dashes that can be told apart in grey.
 */
export const runStyles: readonly RunStyle[] = [
  { colour: '#0f7cc0', dash: [] },
  { colour: '#d55e00', dash: [10, 5] },
  { colour: '#009e73', dash: [2, 4] },
  { colour: '#c060a0', dash: [14, 4, 2, 4] },
  { colour: '#d08a00', dash: [22, 6] },
  { colour: '#8a63d2', dash: [5, 3] },
  { colour: '#3fa7a0', dash: [14, 4, 2, 4, 2, 4] },
  { colour: '#a05a2c', dash: [2, 9] },
];
