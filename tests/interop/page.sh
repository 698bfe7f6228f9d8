# shellcheck shell=bash
# The page at /, in a headless Chromium.
# shellcheck disable=SC2154

page_cases() {
    [[ $KIND == warren ]] || return 0
    local -a page=("$here/page.py" "$SCHEME://$E" "$USER_NAME" "$PASSWORD")
    [[ $SCHEME == https ]] && page+=("$tmp/ca/ca.crt")
    check "page $EP: login, lists, an image, and nothing from elsewhere" \
        timeout -k 5 240 python3 -B "${page[@]}"
}
