# Bash completion of isoloss: commands, options and their values, specs, tables, experiments. Commands, options and their
# values are asked of the program itself (--help, help --choices), so that they are always those of the version that
# runs.

# The commands of `isoloss --help`, one a line; some are two words ("fit compare").
_isoloss_commands() {
  "$1" --help 2>/dev/null | sed -n '/^commands:/,/^$/s/^  \([a-z][a-z -]*[a-z]\)  .*/\1/p'
}

# The help of the command whose words are behind the program.
_isoloss_help() {
  "$@" --help 2>/dev/null
}

# The long options in a command's help; those that take a value end in "=" when $1 is "with-values".
_isoloss_options() {
  sed -n 's/^  \(-[a-zA-Z], \|    \)--\([a-z][a-z-]*\)\( [^ ]\)\{0,1\}.*/--\2\3/p' |
    sed "$([ "${1-}" = with-values ] && echo 's/ .*/=/;t;d' || echo 's/ .*//')"
}

# The words of a command's usage that are written as they are: actions and what else has no capital letters.
_isoloss_actions() {
  sed -n '/^usage:/,/^$/{s/^usage://;s/^ *isoloss\(-train\| [a-z]*\) *//;s/\[[^]]*\]//g;s/--[a-z-]* [A-Z]*//g;s/|/ /g;p}' |
    tr ' ' '\n' | grep -x '[a-z][a-z-]*'
}

_isoloss_experiments() {
  "$1" status --json 2>/dev/null | sed -n '/"experiments"/,/^  ]/s/.*"name": "\([^"]*\)".*/\1/p'
}

_isoloss_laws() {
  "$1" laws 2>/dev/null | sed -n 's/^\([a-z][^ ]*\) .*/\1/p'
}

_isoloss_imports() {
  "$1" import --list 2>/dev/null | sed -n '1d;s/^\([A-Za-z0-9_-]*\) .*/\1/p'
}

# Files whose names match the pattern, and folders.
_isoloss_files() {
  local pattern=$1 file
  while IFS= read -r file; do
    # shellcheck disable=SC2254
    case $file in
    $pattern) COMPREPLY+=("$file") ;;
    *) [ -d "$file" ] && COMPREPLY+=("$file/") ;;
    esac
  done < <(compgen -f -- "$current")
  compopt -o filenames -o nospace 2>/dev/null
  [ ${#COMPREPLY[@]} -eq 1 ] && [ "${COMPREPLY[0]%/}" = "${COMPREPLY[0]}" ] && compopt +o nospace 2>/dev/null
}

_isoloss_words() {
  local word
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$1" -- "$current")
}

_isoloss_value() {
  case $1 in
  --pool | --show | --remove) _isoloss_words "$(_isoloss_imports "$program")" ;;
  --table) _isoloss_files '*.csv' ;;
  --law | -l) _isoloss_words "$(_isoloss_laws "$program")" && [ ${#COMPREPLY[@]} -gt 0 ] || _isoloss_files '*.yaml' ;;
  --output | -o | --files | -f | --grid) _isoloss_files '*' ;;
  --figures | --plot) _isoloss_files '' ;;
  *) _isoloss_words "$("$program" help --choices "${words[@]}" 2>/dev/null | sed -n "s/^$1 //p")" ;;
  esac
}

_isoloss() {
  local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} before='' command='' i
  COMPREPLY=()
  [ "$COMP_CWORD" -gt 0 ] && before=${COMP_WORDS[COMP_CWORD - 1]}
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
    -*) ;;
    *)
      command=${COMP_WORDS[i]}
      break
      ;;
    esac
  done
  local commands
  commands=$(_isoloss_commands "$program")
  if [ -z "$command" ]; then
    _isoloss_words "$(cut -d ' ' -f 1 <<<"$commands" | uniq) --help --version"
    return
  fi
  if [ "$command" = help ] && [ "${current#-}" = "$current" ]; then
    _isoloss_words "$(cut -d ' ' -f 1 <<<"$commands" | uniq)"
    return
  fi
  local words=("$command")
  if [ "$i" -lt $((COMP_CWORD - 1)) ] && grep -qxF -- "$command ${COMP_WORDS[i + 1]}" <<<"$commands"; then
    words+=("${COMP_WORDS[i + 1]}")
  fi
  local help usage
  help=$(_isoloss_help "$program" "${words[@]}")
  usage=$(sed -n '/^usage:/,/^$/p' <<<"$help")
  # "--name=value" comes as three words where = breaks words.
  local option=$before
  if [ "$before" = = ]; then
    option=${COMP_WORDS[COMP_CWORD - 2]}
  elif [ "$current" = = ]; then
    option=$before current=''
  fi
  case $option in
  -?)
    _isoloss_value "$option"
    [ ${#COMPREPLY[@]} -gt 0 ] && return
    ;;
  --*)
    if _isoloss_options with-values <<<"$help" | grep -qxF -- "$option="; then
      _isoloss_value "$option"
      return
    fi
    ;;
  esac
  case $current in
  -*)
    _isoloss_words "$(_isoloss_options <<<"$help") --help"
    return
    ;;
  esac
  if [ "$before" = "${words[0]}" ]; then
    _isoloss_words "$(_isoloss_actions <<<"$help")"
    # An action comes first where nothing else may.
    [[ $usage =~ ^usage:\ isoloss\ [a-z]+\ [a-z] ]] && return
  fi
  case $usage in *EXPERIMENT*) _isoloss_words "$(_isoloss_experiments "$program")" ;; esac
  case $usage in *IMPORT*) _isoloss_words "$(_isoloss_imports "$program")" ;; esac
  case $usage in *'[NAME...]'*) _isoloss_words "$(_isoloss_laws "$program")" ;; esac
  case $usage in *SPEC*) _isoloss_files '*.y*ml' ;; esac
  case $usage in *TABLE.csv*) _isoloss_files '*.csv' ;; esac
  case $usage in *CONFIG.json*) _isoloss_files '*.json' ;; esac
}

complete -F _isoloss isoloss
