/** A value and when it was taken. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

/** By how much the value grows for each unit of `at`: the slope of the least squares; 0 of fewer than two points. */
export function slope(points: readonly Point[]): number {
  const at = mean(points.map(point => point.at));
  const value = mean(points.map(point => point.value));
  let covariance = 0;
  let variance = 0;
  for (const point of points) {
    covariance += (point.at - at) * (point.value - value);
    variance += (point.at - at) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
