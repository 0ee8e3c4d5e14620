#!/bin/sh
# shell_notes: logs new Notes and Versions, and writes back: a Reply to each Note, status "rev" for each Version.
#
# The daemon writes one JSON object per line to stdin. What stands on stdout is the protocol, what stands on stderr our log.
# Inside a JSON string every quote has a backslash before it, so "entity_id": can only be the real member, whatever somebody
# wrote into a Note.

manifest='{"name":"shell_notes","version":"1.0.0","description":"Answers Notes and puts Versions up for review.",'\
'"subscriptions":[{"events":{"Shotgun_Note_New":null,"Shotgun_Version_New":null},"where":[["user","is_not","self"]]}]}'

on_start() { true; } # on_start LINE: there is nothing to configure

on_event() { # on_event REQUEST LINE: runs once for each event; its answer settles it
    entity=$(number entity_id "$2")
    if [ -z "$entity" ]; then
        answer "$1" '{"status":"skip","reason":"the event names no entity"}'
        return
    fi
    case $(text event_type "$2") in
        Shotgun_Note_New)
            log "new Note $entity"
            call "$1" sg.create '"entity_type":"Reply","data":{"entity":{"type":"Note","id":'"$entity"'},"content":"Seen."}' ;;
        Shotgun_Version_New)
            log "new Version $entity"
            call "$1" sg.update '"entity_type":"Version","entity_id":'"$entity"',"data":{"sg_status_list":"rev"}' ;;
        *) true ;;
    esac && answer "$1" '{"status":"ok"}' || fail "$1" "the site refused; see the log"
}

# From here on it is the same in every plugin.

calls=0
say() { printf '%s\n' "$*"; } # one line to the daemon
log() { printf '%s\n' "$*" >&2; }
if [ -t 0 ]; then
    folder=$(cd "$(dirname "$0")" && pwd)
    log "$(basename "$0") is a plugin of sgeventd, which starts it and talks to it through a pipe: nobody types to it."
    log "  check it:  sgeventd check $folder"
    log "  run it:    [plugins] paths = [\"${folder%/*}\"] in sgeventd.toml, then sgeventd run -c sgeventd.toml"
    exit 64
fi
number() { # number NAME JSON: the integer behind "NAME":
    printf '%s\n' "$2" | sed -n 's/^\(.*[{,]\)\{0,1\} *"'"$1"'": *\([0-9][0-9]*\).*/\2/p'
}
text() { # text NAME JSON: the text behind "NAME":, as JSON writes it
    printf '%s\n' "$2" | sed -nE 's/^.*[{,] *"'"$1"'": *"(([^"\\]|\\.)*)".*/\1/p'
}
head_of() { # what stands before params, result or error: our own members are there, nobody else's text
    head=${1%%\"params\":*}
    head=${head%%\"result\":*}
    printf '%s\n' "${head%%\"error\":*}"
}
answer() { say '{"jsonrpc":"2.0","id":'"$1"',"result":'"$2"'}'; }
fail() { say '{"jsonrpc":"2.0","id":'"$1"',"error":{"code":-32000,"message":"'"$2"'"}}'; }
call() { # call EVENT METHOD PARAMS: asks the daemon, then reads lines until the answer with our number is there: $reply
    calls=$((calls + 1))
    say '{"jsonrpc":"2.0","id":'"$calls"',"method":"'"$2"'","params":{'"$3"',"_meta":{"parent":'"$1"'}}}'
    while IFS= read -r reply; do
        head=$(head_of "$reply")
        case $head in *'"method"'*) continue ;; esac # $/cancel and the like: while an event is open, no request
        if [ "$(number id "$head")" = "$calls" ]; then
            case $reply in
                "$head"'"error":'*) log "$2 refused: $reply"; return 1 ;;
                *) return 0 ;;
            esac
        fi
    done
    exit 0 # the daemon has gone
}

while IFS= read -r line; do
    head=$(head_of "$line")
    id=$(number id "$head")
    case $(text method "$head") in
        initialize) answer "$id" '{"protocol":1,"manifest":'"$manifest"'}' ;;
        start)
            on_start "$line"
            answer "$id" '{}' ;;
        event) on_event "$id" "$line" ;;
        shutdown) answer "$id" '{}'; exit 0 ;;
        *) if [ -n "$id" ]; then say '{"jsonrpc":"2.0","id":'"$id"',"error":{"code":-32601,"message":"unknown method"}}'; fi ;;
    esac
done
