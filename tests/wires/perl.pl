#!/usr/bin/env perl
# A plugin written from PROTOCOL.md alone, in a language without an SDK; its wire is recorded.
use strict;
use warnings;
use JSON::PP;
use Math::BigInt;

$| = 1;    # flush after each message
my $json = JSON::PP->new->canonical->allow_bignum;    # UTF-8 stays bytes
my $calls = 0;

sub send_line { print $json->encode( { jsonrpc => "2.0", @_ } ), "\n" }

# Writes, then reads lines until the answer with our id is there: with one event at a time nothing else of weight comes.
sub call {
    my ( $event, $method, %params ) = @_;
    my $id = ++$calls;
    send_line( id => $id, method => $method, params => { %params, _meta => { parent => $event } } );
    while ( my $line = <STDIN> ) {
        my $message = $json->decode($line);
        return $message if !exists $message->{method} && $message->{id} == $id;
    }
    exit 0;    # the daemon has gone
}

sub handle {
    my ( $id, $params ) = @_;
    my $delivery = $params->{delivery};
    if ( $params->{event}{meta}{new_value} ne "one" ) {
        send_line( method => "unhealthy", params => { reason => "has seen enough" } );
        return ( result => { status => "dead", reason => "only the first" } );
    }
    if ( $delivery->{attempt} == 1 ) {
        return ( error => { code => -32000, message => "not yet", data => { type => "Early", traceback => "perl.pl", progress => { done => ["first"] } } } );
    }
    my $shot = $params->{event}{meta}{entity_id};
    call( $id, "sg.find", entity_type => "Shot", filters => [ [ "id", "is", $shot ] ], fields => ["code"] );
    my $fault = call( $id, "sg.find", entity_type => "Shot", filters => [ [ "nope", "is", 1 ] ] );
    my $big = Math::BigInt->new("123456789012345678901234567890");
    call( $id, "state.set", key => "done", value => { with => $delivery->{progress}, big => $big } );
    my $kept = call( $id, "state.get", key => "done" );
    send_line( method => "log", params => { level => "warning", message => "fault $fault->{error}{code}, kept $kept->{result}{value}{big}" } );
    return ( result => { status => "ok" } );
}

while ( my $line = <STDIN> ) {
    my $message = $json->decode($line);
    my ( $id, $method ) = @$message{qw(id method)};
    next if !defined $method || !defined $id;    # an answer to nobody, `$/…`
    if ( $method eq "initialize" ) {
        my %subscription = ( events => { Shotgun_Shot_Change => ["description"] } );
        my %delivery     = ( max_attempts => 3, on_error => "retry" );
        send_line( id => $id, result => { protocol => 1, manifest => { name => "perl", subscriptions => [ \%subscription ], delivery => \%delivery } } );
    }
    elsif ( $method eq "event" ) { send_line( id => $id, handle( $id, $message->{params} ) ) }
    elsif ( $method eq "start" || $method eq "shutdown" ) {
        send_line( id => $id, result => {} );
        exit 0 if $method eq "shutdown";
    }
    else { send_line( id => $id, error => { code => -32601, message => "unknown method $method" } ) }
}
