# The web app is built beside the server: what builds it stays behind.
FROM node:24.21.0-bookworm-slim AS web
WORKDIR /app
COPY web/package.json web/package-lock.json web/.npmrc web/
RUN npm ci --prefix web --include=dev --ignore-scripts
COPY scripts scripts
COPY web web
RUN node scripts/build-web.mjs

FROM node:24.21.0-bookworm-slim

WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
# The guide answers from README.md and docs/, so they are a part of the program.
COPY . .
COPY --from=web /app/web/dist web/dist

RUN install --directory --owner=node --group=node --mode=0700 /data
VOLUME /data
USER node
ENV NODE_ENV=production PARLANCE_HOST=0.0.0.0 PARLANCE_DATA=/data
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# As an array: node is the container's first process and gets SIGTERM itself, at which it lets the running answers finish.
CMD ["node", "src/cli.ts", "serve"]
