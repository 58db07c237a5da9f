# Bash completion of isoloss. The program itself says what may follow (isoloss help --complete), so that it is always
# what the version that runs has.

# Files whose names match the pattern, and folders.
_isoloss_files() {
  local pattern=$1 file
  while IFS= read -r file; do
    # shellcheck disable=SC2254
    case $file in
    $pattern) COMPREPLY+=("$file") ;;
    *) [ -d "$file" ] && COMPREPLY+=("$file/") ;;
    esac
  done < <(compgen -f -- "$2")
  compopt -o filenames -o nospace 2>/dev/null
  [ ${#COMPREPLY[@]} -eq 1 ] && [ "${COMPREPLY[0]%/}" = "${COMPREPLY[0]}" ] && compopt +o nospace 2>/dev/null
}

_isoloss() {
  local words=() word line current=${COMP_WORDS[COMP_CWORD]} patterns=''
  COMPREPLY=()
  # "--name=value" comes as three words where = breaks words.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    [ "$word" = = ] || words+=("$word")
  done
  if [ "$current" = = ]; then
    current=''
    words+=('')
  fi
  while IFS= read -r line; do
    case $line in
    :files*) patterns+="${line#:files }"$'\n' ;;
    *) COMPREPLY+=("$line") ;;
    esac
  done < <("${COMP_WORDS[0]}" help --complete -- "${words[@]}" 2>/dev/null)
  while IFS= read -r line; do _isoloss_files "$line" "$current"; done < <(printf %s "$patterns")
  if [ ${#COMPREPLY[@]} -gt 1 ]; then # folders come once, however many patterns there are
    mapfile -t COMPREPLY < <(printf '%s\n' "${COMPREPLY[@]}" | awk '!seen[$0]++')
  fi
}

complete -F _isoloss isoloss
