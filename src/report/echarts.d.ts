// All of ECharts in one file, which loads several times faster than its hundreds of modules.
declare module 'echarts/dist/echarts.esm.min.mjs' {
  export { init } from 'echarts';
}
