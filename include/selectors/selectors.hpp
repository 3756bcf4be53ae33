// selectors/selectors.hpp - the first floor: the bag, its sockets, its events.
//
//     #include <selectors/selectors.hpp>
//     namespace sel = selectors;
//
//     sel::selector bag;
//     bag.add(server, sel::event::read);
//     for (auto [key, events] : bag.select()) ...
#pragma once

#include <selectors/address.hpp>
#include <selectors/backend.hpp>
#include <selectors/buffer.hpp>
#include <selectors/callback.hpp>
#include <selectors/descriptor.hpp>
#include <selectors/event.hpp>
#include <selectors/key.hpp>
#include <selectors/result.hpp>
#include <selectors/selector.hpp>
#include <selectors/socket.hpp>
#include <selectors/version.hpp>
