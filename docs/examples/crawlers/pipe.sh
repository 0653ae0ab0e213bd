#!/bin/sh
# Fetches a list of pages with curl. A command in the pipe counts the lines that go through it.
#
#   export TALLYMARK_URL=http://127.0.0.1:8000 TALLYMARK_TOKEN=...
#   sh pipe.sh urls.txt JOB
#
# It stores the pages in pages.html, and their URLs in done.txt. Kill it at any moment, and start it again in the same
# directory: it goes on, and each page counts once.
set -eu
list=$1
job=$2
touch done.txt

fetch() {
    while read -r url; do
        # A page that cannot be fetched does not count; the next run tries it again.
        curl --silent --show-error --fail "$url" >> pages.html || continue
        echo "$url" | tee -a done.txt
    done
}

# With --key, a line counts once in the whole job. So those of an earlier run may go through the pipe again.
{
    cat done.txt
    grep --invert-match --line-regexp --fixed-strings --file done.txt "$list" | fetch
} | tallymark count "$job" --type pages --key --total "$(wc -l < "$list")" > /dev/null
