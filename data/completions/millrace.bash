# bash completion for millrace: every press of the tab key asks the program itself.
_millrace_completion() {
    local IFS=$'\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \
                   COMP_CWORD=$COMP_CWORD \
                   _BST_COMPLETION=complete $1 2>/dev/null ) )
    return 0
}

complete -F _millrace_completion -o nospace millrace
