#!/bin/sh
# Fetches a list of pages, and reports over HTTP with curl.
#
#   export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
#   sh http_crawl.sh urls.txt JOB > pages.html
#
# Kill it at any moment, and start it again, on any machine: each page counts once. The id of the job and the URLs have
# no quotation marks and no backslashes.
set -eu
list=$1
job=$2

# Sends the same body until the server has taken it. A body that it took before counts once.
call() {
    curl --silent --show-error --fail-with-body --max-time 30 --retry 10 --retry-connrefused \
        --header "Authorization: Bearer $TALLYMARK_TOKEN" --header 'Content-Type: application/json' \
        --data "$2" "$TALLYMARK_URL/api/internal/jobs$1"
}

# Needs no updateId, and no fraction of a second: keys count once, and nothing else is counted.
report() {
    call /progress "{\"taskId\": \"$job\", \"status\": \"$1\", \"timestamp\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"${2:+, $2}}" >&2
}

call '' "{\"taskId\": \"$job\"}" >&2
report started
while read -r url; do
    unseen=$(call "/$job/unseen" "{\"type\": \"pages\", \"keys\": [\"$url\"]}")
    case $unseen in
    *"\"$url\""*) ;;
    *) continue ;; # counted before
    esac
    # A page that cannot be fetched does not count; the next run tries it again.
    curl --silent --show-error --fail "$url" || continue
    report processing "\"itemKeys\": {\"pages\": [\"$url\"]}"
done < "$list"
report completed
