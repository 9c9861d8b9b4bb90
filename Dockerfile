# docker run --rm -p 8080:8080 -v aurora:/data -e AURORA_MASTER_KEY=… -e VLLM_BASE_URL=http://host.docker.internal:8000/v1 aurora
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AURORA_DATA_DIR=/data
WORKDIR /app

COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY manage.py ./
COPY aurora_site ./aurora_site
COPY providers ./providers
COPY gateway ./gateway
COPY templates ./templates

# A fixed uid, so that a folder of the host's can be made writable for it. The code stays root's.
# Some platforms run the image as a user of their own, of the group root: it may use the data, too.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin aurora \
    && install -d -m 2770 -o aurora -g root /data
USER 10001:10001

VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "aurora_site.health"]
ENTRYPOINT ["python", "manage.py"]
CMD ["serve"]
