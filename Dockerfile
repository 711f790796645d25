# syntax=docker/dockerfile:1
# Built on Debian: the images by Node.js carry glibc, which native add-ons need. test/deployment/image.test.ts runs these steps.

FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json build.mjs ./
# TypeScript and the other tools come as prebuilt packages, so that no install script has to run.
RUN npm ci --ignore-scripts
COPY src ./src
COPY clients ./clients
RUN npm run build && find dist -name '*.map' -delete

FROM node:22-bookworm-slim AS production
WORKDIR /app
COPY package.json package-lock.json ./
# uWebSockets.js brings its addon for every platform; this image needs one. Types and source maps of packages nobody reads here.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules/uWebSockets.js -name 'uws_*.node' ! -name "uws_linux_$(node -p process.arch)_$(node -p process.versions.modules).node" -delete \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE NOTICE ./
COPY protos ./protos
COPY config ./config
# The configuration belongs at /etc/protogate/gateway.yaml; the admin listener stays on loopback inside the container.
# Nothing is ever written: run it with a read-only root file system (`docker run --read-only`).
# `server.workers: auto` uses all cores that the container may use (`docker run --cpus`).
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.ADMIN_PORT || 9090) + '/livez').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve", "-c", "/etc/protogate/gateway.yaml"]
