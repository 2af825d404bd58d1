#!/usr/bin/env bash
# Downloads the ISMIR2004 Genre corpus (Magnatune, CC BY-NC-SA 1.0) from Zenodo and unpacks it: some 20 GB.
# Writes <corpus-root>/archives and what they hold. An interrupted download goes on where it was, checksums are
# compared, and what is complete is not fetched again. Needs wget.
set -euo pipefail

record_url=https://zenodo.org/api/records/1302992 # list of files, as JSON

help_message="Usage: $0 [options] <corpus-root>
  e.g. $0 /corpora/ismir04_genre"

. ./path.sh
. utils/parse_options.sh
expect_arguments $# 1
root=$1
archives=$root/archives

die() {
  echo "ERROR (${0##*/}) $1" >&2
  exit 1
}

fetch() { # <url> <file>
  wget --continue --no-verbose --tries=20 --timeout=60 --retry-on-http-error=408,429,500,502,503 \
    --output-document="$2" "$1" || die "$1: check the network and run it again: it goes on where it was"
}

mkdir -p "$archives"
rm -f "$archives/record.json"
fetch "$record_url" "$archives/record.json"
python3 -c '
import json, sys
for file in json.load(sys.stdin)["files"]:
    print(file["key"].rpartition("/")[2], file["checksum"], file["links"]["self"], sep="\t")
' <"$archives/record.json" >"$archives/files.tsv" || die "$record_url: not the list of files of a record"

while IFS=$'\t' read -r name checksum url; do
  file=$archives/$name
  [ ! -f "$file" ] || continue # it was right, and is unpacked
  fetch "$url" "$file.part"
  if ! "${checksum%%:*}sum" --check --status <<<"${checksum#*:}  $file.part"; then
    rm "$file.part"
    die "$file: not what the record says ($checksum); removed: run it again"
  fi
  case $name in # neither unpacks anything outside the folder
    *.zip) python3 -m zipfile -e "$file.part" "$root" ;;
    *.tar | *.tar.* | *.tgz) tar --extract --no-same-owner --directory="$root" --file="$file.part" ;;
  esac || die "$file: cannot be unpacked; is the disk full?"
  mv "$file.part" "$file"
done <"$archives/files.tsv"

metadata=$(find "$root" -maxdepth 3 -type d -name metadata | sort | head -n 1)
[ -d "${metadata%/*}/audio" ] || die "$root: no folder with audio/ and metadata/ in what the record holds; look inside"
echo "LOG (${0##*/}) complete; next: ./run.sh --corpus ismir04 --corpus-root ${metadata%/*}" >&2
