# taper on CPUs, set up and ready to train: see docs/setup.md.
FROM node:22-bookworm-slim

# What the set-up would install.
RUN apt-get update && apt-get install -y --no-install-recommends libtorch-dev libdnnl-dev libopenblas0-openmp libgloo-dev g++ cmake make && rm -rf /var/lib/apt/lists/*

WORKDIR /taper
RUN chown node:node /taper
USER node
COPY --chown=node:node . .
RUN npm run build

CMD ["npm", "start"]
