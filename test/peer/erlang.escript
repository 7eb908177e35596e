%% A Diameter node on OTP's diameter that asks or answers base accounting.
-module(node).
-mode(compile).
-export([main/1, peer_up/3, peer_down/3, pick_peer/4, prepare_request/3,
         prepare_retransmit/3, handle_answer/4, handle_error/4, handle_request/3]).

main([Role, Host, Realm, Port | Rest]) ->
    ok = diameter:start(),
    true = diameter:subscribe(node),
    ok = diameter:start_service(node, [
        {'Origin-Host', Host}, {'Origin-Realm', Realm}, {'Vendor-Id', 0},
        {'Product-Name', "OTP"}, {'Acct-Application-Id', [3]},
        {'Host-IP-Address', [{127, 0, 0, 1}]},
        {restrict_connections, false}, {string_decode, false}, {strict_mbit, false}, {decode_format, map},
        {application, [{alias, accounting}, {dictionary, diameter_gen_acct_rfc6733},
                       {module, ?MODULE}]}]),
    role(Role, list_to_integer(Port), Host, Realm, Rest).

role("server", Port, _, _, []) ->
    {ok, _} = diameter:add_transport(node, {listen, [
        {transport_module, diameter_tcp},
        {transport_config, [{reuseaddr, true}, {ip, {127, 0, 0, 1}}, {port, Port}]}]}),
    io:format("ready~n"),
    receive stop -> ok end;
role("client", Port, Host, Realm, [To, Count]) ->
    {ok, _} = diameter:add_transport(node, {connect, [
        {connect_timer, 1000},
        {transport_module, diameter_tcp},
        {transport_config, [{raddr, {127, 0, 0, 1}}, {rport, Port}, {ip, {127, 0, 0, 1}}]}]}),
    up(),
    Results = [ask(Host, Realm, To, N) || N <- lists:seq(1, list_to_integer(Count))],
    io:format("success ~p of ~p~n", [length([R || R <- Results, R == 2001]), length(Results)]),
    io:format("others ~p~n", [lists:usort([R || R <- Results, R /= 2001])]),
    diameter:stop_service(node),
    halt(0).

up() ->
    receive
        {diameter_event, node, Event} when element(1, Event) == up -> ok
    after 20000 -> io:format("no peer~n"), halt(1)
    end.

ask(Host, Realm, To, N) ->
    case diameter:call(node, accounting, ['ACR' | #{
            'Session-Id' => diameter:session_id(Host),
            'Origin-Host' => Host, 'Origin-Realm' => Realm, 'Destination-Realm' => To,
            'Accounting-Record-Type' => 1, 'Accounting-Record-Number' => N,
            'User-Name' => ["erlang@" ++ To], 'Acct-Application-Id' => [3]}], []) of
        ['ACA' | #{'Result-Code' := Result}] -> Result;
        ['answer-message' | #{'Result-Code' := Result}] -> Result;
        Other -> Other
    end.

peer_up(_, _, State) -> State.
peer_down(_, _, State) -> State.
pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer(_, _, _, _) -> false.
prepare_request(Packet, _, _) -> {send, Packet}.
prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(Packet, _, _, _) -> element(4, Packet).
handle_error(Reason, _, _, _) -> {error, Reason}.

handle_request(Packet, _, {_, Caps}) ->
    ['ACR' | #{'Session-Id' := Session, 'Accounting-Record-Type' := Type,
               'Accounting-Record-Number' := Number}] = element(4, Packet),
    {Host, _} = element(2, Caps),
    {Realm, _} = element(3, Caps),
    {reply, ['ACA', {'Session-Id', Session}, {'Result-Code', 2001},
             {'Origin-Host', Host}, {'Origin-Realm', Realm},
             {'Accounting-Record-Type', Type}, {'Accounting-Record-Number', Number}]}.
