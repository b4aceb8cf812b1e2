/** What is used of jstat, which has no types. */
declare module 'jstat' {
  const jStat: { studentt: { inv(p: number, degreesOfFreedom: number): number } };
  export default jStat;
}
