#!/bin/sh
# Make the stored figures anew: sh make_figures.sh   (lmplz on PATH, a UTF-8 locale)
set -e
characters() { sed 's/ /▁/g; s/./& /g' "$1"; }
estimate() { name=$1; shift; lmplz -S 64M "$@" 2> /dev/null | gzip -9 -n > "$name.arpa.gz"; }

python3 make_generated.py > generated.txt
for order in 1 2 3 4 5; do
    estimate "letters-word-$order" -o $order --discount_fallback < letters.txt
    characters notes.txt | estimate "notes-character-$order" -o $order --discount_fallback
    estimate "generated-word-$order" -o $order < generated.txt
    # The letters of this text are too few for unigram discounts of order 1.
    [ $order = 1 ] || characters generated.txt | estimate "generated-character-$order" -o $order
done
estimate letters-word-3-plain_unigrams -o 3 --interpolate_unigrams 0 --discount_fallback \
    < letters.txt
estimate generated-word-4-pruned -o 4 --prune 0 0 1 2 < generated.txt
