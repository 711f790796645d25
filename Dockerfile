# syntax=docker/dockerfile:1
# Built on Debian: the images by Node.js carry glibc, which native add-ons need.

FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
RUN npm ci --ignore-scripts
# TypeScript and the other tools come as prebuilt packages, so that no install script has to run.
COPY src ./src
RUN npm run build

FROM node:22-bookworm-slim AS production
WORKDIR /app
COPY package.json package-lock.json ./
# uWebSockets.js brings its addon for every platform; this image needs one.
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force \
  && find node_modules/uWebSockets.js -name 'uws_*.node' ! -name "uws_linux_$(node -p process.arch)_$(node -p process.versions.modules).node" -delete

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=production /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY protos ./protos
COPY config ./config
# `server.workers: auto` in it uses all cores that the container may use (`docker run --cpus`).
# The configuration belongs at /etc/protogate/gateway.yaml; the admin listener stays on loopback inside the container.
USER node
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.ADMIN_PORT || 9090) + '/livez').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "dist/main.js"]
CMD ["serve", "-c", "/etc/protogate/gateway.yaml"]
