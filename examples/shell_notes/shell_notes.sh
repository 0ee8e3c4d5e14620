#!/bin/sh
# Logs new Notes and Versions, and writes back: a Reply to each Note, status "rev" for each Version.
#
# A plugin with nothing but sh and sed. The daemon writes one JSON object per line to stdin; what we write
# to stdout is the protocol, what we write to stderr is our log. Inside a JSON string every quote has a
# backslash before it, so "entity_id": can only be the real member, whatever somebody wrote into a Note.

calls=0

say() { printf '%s\n' "$*"; }   # one line to the daemon
log() { printf '%s\n' "$*" >&2; }

number() { # number NAME JSON: the integer behind "NAME":, the first one
    printf '%s\n' "$2" | sed -n 's/^\(.*[{,]\)\{0,1\} *"'"$1"'": *\([0-9][0-9]*\).*/\2/p'
}
word() { # word NAME JSON: the plain word behind "NAME":
    printf '%s\n' "$2" | sed -n 's/^.*[{,] *"'"$1"'": *"\([A-Za-z_$/.]*\)".*/\1/p'
}
head_of() { # what stands before params, result or error: our own members are there, nobody else's text
    head=${1%%\"params\":*}
    head=${head%%\"result\":*}
    printf '%s\n' "${head%%\"error\":*}"
}

answer() { say '{"jsonrpc":"2.0","id":'"$1"',"result":'"$2"'}'; }
fail() { say '{"jsonrpc":"2.0","id":'"$1"',"error":{"code":-32000,"message":"'"$2"'"}}'; }

call() { # call EVENT METHOD PARAMS: asks the daemon, then reads lines until the answer with our number is there
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

on_event() { # on_event REQUEST LINE
    entity=$(number entity_id "$2")
    if [ -z "$entity" ]; then
        answer "$1" '{"status":"skip","reason":"the event names no entity"}'
        return
    fi
    case $(word event_type "$2") in
        Shotgun_Note_New)
            log "new Note $entity"
            call "$1" sg.create '"entity_type":"Reply","data":{"entity":{"type":"Note","id":'"$entity"'},"content":"Seen."}' ;;
        Shotgun_Version_New)
            log "new Version $entity"
            call "$1" sg.update '"entity_type":"Version","entity_id":'"$entity"',"data":{"sg_status_list":"rev"}' ;;
        *) true ;;
    esac && answer "$1" '{"status":"ok"}' || fail "$1" "the site refused; see the log"
}

while IFS= read -r line; do
    head=$(head_of "$line")
    id=$(number id "$head")
    case $(word method "$head") in
        initialize)
            answer "$id" '{"protocol":1,"manifest":{"name":"shell_notes","subscriptions":[{"events":{"Shotgun_Note_New":null,"Shotgun_Version_New":null},"where":[["user","is_not","self"]]}]}}' ;;
        event) on_event "$id" "$line" ;;
        start) answer "$id" '{}' ;;
        shutdown) answer "$id" '{}'; exit 0 ;;
        *) if [ -n "$id" ]; then say '{"jsonrpc":"2.0","id":'"$id"',"error":{"code":-32601,"message":"unknown method"}}'; fi ;;
    esac
done
