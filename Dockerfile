# docker build --target cpu -t mlproject .      docker build --target cuda -t mlproject:cuda .
# docker run --rm -v "$PWD:/work" mlproject train --pool1 25
FROM python:3.12-slim AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 KERAS_BACKEND=jax
WORKDIR /src
COPY requirements.txt constraints.txt pyproject.toml README.md LICENSE ./
RUN pip install --constraint constraints.txt --requirement requirements.txt
COPY src src
RUN pip install --no-deps . && useradd --uid 1000 --create-home user
WORKDIR /work
ENTRYPOINT ["mlproject"]
CMD ["--help"]

FROM base AS cuda
RUN pip install "jax[cuda12]==0.10.2"
USER 1000

FROM base AS cpu
USER 1000
