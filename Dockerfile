# Confidant Bridge with the Redis it runs for itself. All data lie in the volume /data.
FROM node:24.21-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends redis-server tini \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force
COPY LICENSE ./
COPY bin bin
COPY config config
COPY src src

# The listeners are published by the host, on loopback only (compose.yml); inside they must take any address.
ENV NODE_ENV=production \
  CMBRIDGE_DATA=/data \
  CMBRIDGE_SMTP_HOSTS=0.0.0.0 \
  CMBRIDGE_IMAP_HOSTS=0.0.0.0 \
  NODE_COMPILE_CACHE=/tmp/compiled
RUN mkdir -m 0700 /data && chown node:node /data && ln -s /app/bin/cmbridge.mjs /usr/local/bin/cmbridge
USER node
VOLUME /data
EXPOSE 1025 1143 1465 1993
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD node src/main.ts status --json | grep -q '"running":true'
ENTRYPOINT ["tini", "--", "node", "/app/src/main.ts"]
CMD ["serve"]
