# Fish completion of isoloss. The program itself says what may follow (isoloss help --complete), so that it is always what
# the version that runs has.

function __isoloss_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] help --complete -- $words[2..-1] "$current" 2>/dev/null)
        if not string match -q ':files*' -- $line
            echo $line
            continue
        end
        set -l pattern (string replace -r '^:files ?' '' -- $line)
        for file in "$current"*
            if test -d "$file"
                echo "$file/"
            else if test -n "$pattern"; and string match -q -- "$pattern" "$file"
                echo "$file"
            end
        end
    end
end

complete -c isoloss -f -a '(__isoloss_complete)'
