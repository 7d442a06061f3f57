# docker build -t ddpm-course . && docker run --rm -p 127.0.0.1:8888:8888 ddpm-course
FROM python:3.12-slim
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/* \
    && useradd -m learner && install -d -o learner /home/learner/course
USER learner
WORKDIR /home/learner/course
COPY --chown=learner . .
RUN make .venv/course TORCH=cpu && .venv/bin/python tools/run_notebooks.py mine
EXPOSE 8888
CMD [".venv/bin/jupyter", "lab", "--ServerApp.ip=0.0.0.0", "--no-browser", \
    "--LabApp.default_url=/lab/tree/my_notebooks/00_welcome.ipynb"]
