// selectors/async.hpp - the second floor: the loop and what lives on it. It brings the first along.
//
//     #include <selectors/async.hpp>
//     namespace sel = selectors;
//
//     sel::loop loop;
//     sel::timer timer = loop.after(250ms, [&] { loop.stop(); });
//     loop.run();
#pragma once

#include <selectors/child.hpp>
#include <selectors/drain.hpp>
#include <selectors/listener.hpp>
#include <selectors/loop.hpp>
#include <selectors/observer.hpp>
#include <selectors/pool.hpp>
#include <selectors/selectors.hpp>
#include <selectors/signals.hpp>
#include <selectors/timer.hpp>
#include <selectors/watch.hpp>
