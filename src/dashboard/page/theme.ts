import { useEffect, useState } from 'preact/hooks';

export interface Theme {
  ink: string;
  grid: string;
}

const themes = {
  light: { ink: '#444', grid: '#e3e3e3' },
  dark: { ink: '#bbb', grid: '#333' },
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

/** Colours that colour-blind people can tell apart (Okabe and Ito), readable on light and dark backgrounds. */
export const runColours = ['#0f7cc0', '#d55e00', '#009e73', '#c060a0', '#d08a00', '#8a63d2', '#3fa7a0', '#a05a2c'];
