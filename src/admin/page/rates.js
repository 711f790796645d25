/** From counters at two moments to what happens in a second. */

/** How much a counter has grown; all of it where it was reset by a restart. */
export function growth(now, before = 0) {
  return now >= before ? now - before : now;
}

/** The growth of a histogram; all of it where it was reset. */
export function latencyGrowth(now, before) {
  if (before === undefined || before.count > now.count || before.buckets.length !== now.buckets.length)
    return now;
  return {
    buckets: now.buckets.map((value, index) => value - before.buckets[index]),
    sum: now.sum - before.sum,
    count: now.count - before.count,
  };
}

export function addLatencies(all) {
  const sum = { buckets: [], sum: 0, count: 0 };
  for (const { buckets, sum: seconds, count } of all) {
    sum.sum += seconds;
    sum.count += count;
    buckets.forEach((value, index) => {
      sum.buckets[index] = (sum.buckets[index] ?? 0) + value;
    });
  }
  return sum;
}

/**
 * The seconds that a share of the observations did not exceed, estimated within a bucket as Prometheus does it.
 * @returns undefined without observations; Infinity above the last bound
 */
export function quantile(share, { buckets, count }, bounds) {
  if (count <= 0) return undefined;
  const rank = share * count;
  const index = buckets.findIndex(value => value >= rank);
  if (index === -1) return Number.POSITIVE_INFINITY;
  const [low, below] = index === 0 ? [0, 0] : [bounds[index - 1], buckets[index - 1]];
  return low + ((bounds[index] - low) * (rank - below)) / Math.max(buckets[index] - below, 1e-9);
}

/** What has happened between two responses of `/status`. */
export function ratesOf(now, before) {
  const seconds = before === undefined ? 0 : (Date.parse(now.now) - Date.parse(before.now)) / 1000;
  const perSecond = (value, last) => (seconds > 0 ? growth(value, last) / seconds : undefined);
  const bounds = now.duration_buckets;
  const routesBefore = new Map(before?.routes.map(route => [`${route.method} ${route.route}`, route]));
  const routes = now.routes.map(route => {
    const last = routesBefore.get(`${route.method} ${route.route}`);
    const count = growth(route.requests, last?.requests);
    const errors = growth(route.server_errors, last?.server_errors);
    const clientErrors = growth(route.client_errors, last?.client_errors);
    const duration = latencyGrowth(route.duration, last?.duration);
    return {
      ...route,
      rate: perSecond(route.requests, last?.requests),
      grown: { count, errors, clientErrors, duration },
      bounds,
    };
  });
  const upstreamsBefore = new Map(before?.upstreams.map(upstream => [upstream.upstream, upstream]));
  const upstreams = now.upstreams.map(upstream => {
    const last = upstreamsBefore.get(upstream.upstream);
    return {
      ...upstream,
      rate: perSecond(upstream.calls, last?.calls),
      retryRate: perSecond(upstream.retries, last?.retries),
      grown: {
        count: growth(upstream.calls, last?.calls),
        errors: growth(upstream.failures, last?.failures),
        duration: latencyGrowth(upstream.duration, last?.duration),
      },
      bounds,
    };
  });
  const roomsBefore = new Map(before?.realtime?.top_rooms.map(room => [`${room.room} ${room.epoch}`, room]));
  const rooms = (now.realtime?.top_rooms ?? []).map(room => {
    const last = roomsBefore.get(`${room.room} ${room.epoch}`);
    return { ...room, rate: last === undefined ? undefined : perSecond(room.seq, last.seq) };
  });
  const workersBefore = new Map(before?.workers.map(worker => [worker.pid, worker]));
  const workers = now.workers.map(worker => {
    const last = workersBefore.get(worker.pid);
    if (last === undefined) return worker;
    const active = growth(worker.event_loop.active_seconds, last.event_loop.active_seconds);
    const idle = growth(worker.event_loop.idle_seconds, last.event_loop.idle_seconds);
    return {
      ...worker,
      cpu: perSecond(worker.cpu_seconds, last.cpu_seconds),
      busy: active / Math.max(active + idle, 1e-9),
    };
  });
  const sum = of => routes.reduce((total, route) => total + of(route), 0);
  return {
    routes,
    upstreams,
    rooms,
    workers,
    known: seconds > 0,
    requests: seconds > 0 ? sum(({ grown }) => grown.count) / seconds : undefined,
    errors:
      sum(({ grown }) => grown.errors) /
      Math.max(
        sum(({ grown }) => grown.count),
        1,
      ),
    duration: addLatencies(routes.map(({ grown }) => grown.duration)),
    framesIn: perSecond(now.realtime?.frames_in ?? 0, before?.realtime?.frames_in),
    framesOut: perSecond(now.realtime?.frames_out ?? 0, before?.realtime?.frames_out),
  };
}

export function rateText(value) {
  if (value === undefined) return "–";
  if (value === 0) return "0";
  if (value < 10) return value.toFixed(value < 1 ? 2 : 1);
  return Math.round(value).toLocaleString("en");
}

export function shareText(share) {
  if (share === 0) return "0 %";
  if (share < 0.0001) return "< 0.01 %";
  return `${(share * 100).toFixed(share < 0.001 ? 2 : share < 0.1 ? 1 : 0)} %`;
}

export function secondsText(seconds, bounds) {
  if (seconds === undefined) return "–";
  if (seconds === Number.POSITIVE_INFINITY) return `> ${secondsText(bounds.at(-1))}`;
  if (seconds < 0.001) return `${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 1) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

export function bytesText(bytes) {
  if (bytes < 1024 ** 3) return `${Math.round(bytes / 1024 ** 2)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

/** `3 d 4 h`: the two largest units. */
export function spanText(seconds) {
  const units = [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first === -1) return "0 s";
  const [unit, size] = units[first];
  const rest = units[first + 1];
  const more = rest === undefined ? 0 : Math.floor((seconds % size) / rest[1]);
  return `${Math.floor(seconds / size)} ${unit}${more === 0 ? "" : ` ${more} ${rest[0]}`}`;
}
