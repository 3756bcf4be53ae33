// curl_on_loop.hpp - libcurl's transfers on a loop: any number of them, on its one thread. Copy it.
//
//     curl_on_loop transfers{loop};
//     curl_on_loop::easy get{curl_easy_init()};
//     curl_easy_setopt(get.get(), CURLOPT_URL, "http://localhost:7342/");
//     transfers.start(std::move(get), [&](CURL* ended, CURLcode result) { loop.stop(); });
//     loop.run();
//
// libcurl says which descriptors it waits for, and when it wants to be called in any case: that is a watch
// for each, and one timer. What is to be known about it stands beside the line that knows it.
//
// `start` may be called from a callback of a transfer's end, which may also destroy all this; neither from
// what libcurl calls (CURLOPT_WRITEFUNCTION and its like). The loop must live longer. Threads: the loop's.
// Sources: curl_multi_socket_action(3), CURLMOPT_SOCKETFUNCTION(3), CURLMOPT_TIMERFUNCTION(3).
#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include <curl/curl.h>

#include <selectors/async.hpp>

class curl_on_loop {
    struct easy_cleanup {
        void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    };
    struct multi_cleanup {
        void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
    };

  public:
    /// Owns an easy handle.
    using easy = std::unique_ptr<CURL, easy_cleanup>;
    /// Called with the handle, which lives until it returns, and with how the transfer ended.
    using ending = selectors::callback<void(CURL*, CURLcode)>;

    explicit curl_on_loop(selectors::loop& on) : loop_{on} {
        if (!multi_) throw std::bad_alloc{};
        curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &watch_changed);
        curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &timer_changed);
        curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
    }
    curl_on_loop(const curl_on_loop&) = delete;
    curl_on_loop& operator=(const curl_on_loop&) = delete;
    /// Ends what is under way, of which nobody is told. libcurl wants this order: the transfers leave, go,
    /// then the multi handle. All of it calls the functions below, so watches and timers go last.
    ~curl_on_loop() {
        for (const auto& [handle, _] : transfers_) curl_multi_remove_handle(multi_.get(), handle);
    }

    /// Begins in the next turn. Throws std::runtime_error if libcurl refuses.
    void start(easy transfer, ending done) {
        CURL* const handle = transfer.get();
        transfers_.insert_or_assign(handle, under_way{std::move(done), std::move(transfer)});
        if (const CURLMcode refused = curl_multi_add_handle(multi_.get(), handle)) {
            transfers_.erase(handle);
            throw std::runtime_error(curl_multi_strerror(refused));
        }
    }

    /// For options: CURLMOPT_MAX_TOTAL_CONNECTIONS and its like.
    CURLM* multi() const noexcept { return multi_.get(); }

  private:
    struct under_way {
        ending done;
        easy handle;  // goes first: it may use what the callback owns
    };

    /// libcurl calls: watch this descriptor for something else; `known` is what was assigned to it. A watch
    /// may go or be made anew inside its own callback. No exception may pass through a C library, so it waits
    /// until that has returned.
    static int watch_changed(CURL*, curl_socket_t fd, int wanted, void* self, void* known) noexcept {
        using selectors::event;
        curl_on_loop& on = *static_cast<curl_on_loop*>(self);
        const event interest = ((wanted & CURL_POLL_IN) ? event::read : event::none) |
                               ((wanted & CURL_POLL_OUT) ? event::write : event::none);
        try {
            if (wanted == CURL_POLL_REMOVE) {
                on.watches_.erase(fd);  // it may be closed by now
            } else if (known) {
                static_cast<selectors::watch*>(known)->modify(interest);
            } else {
                // Should another be there it is of an earlier file of this number.
                selectors::watch& made = on.watches_[fd];
                made = on.loop_.watch(fd, interest, [&on, fd](event events) { on.ready(fd, events); });
                curl_multi_assign(on.multi_.get(), fd, &made);
            }
            return 0;
        } catch (...) {
            on.problem_ = std::current_exception();
            return -1;  // libcurl gives up
        }
    }

    /// libcurl calls: call me in so many milliseconds, -1 for not at all. Even if that is 0 it must not be
    /// called from here: a timer that is due at once comes in the next turn.
    static int timer_changed(CURLM*, long milliseconds, void* self) noexcept {
        selectors::timer& timer = static_cast<curl_on_loop*>(self)->timer_;
        if (milliseconds < 0)
            timer.cancel();
        else
            timer.after(std::chrono::milliseconds{milliseconds});
        return 0;
    }

    /// With nothing but a hang-up libcurl looks for itself.
    void ready(curl_socket_t fd, selectors::event events) {
        using selectors::event;
        act(fd, ((events & event::read) ? CURL_CSELECT_IN : 0) |
                    ((events & event::write) ? CURL_CSELECT_OUT : 0) |
                    ((events & event::error) ? CURL_CSELECT_ERR : 0));
    }

    void act(curl_socket_t fd, int events) {
        int running = 0;
        const CURLMcode code = curl_multi_socket_action(multi_.get(), fd, events, &running);
        if (problem_) std::rethrow_exception(std::exchange(problem_, nullptr));
        if (code != CURLM_OK) throw std::runtime_error(curl_multi_strerror(code));
        tell_ending();
    }

    /// Tells of one transfer that has ended, and of the others in later turns: who is told may throw, or
    /// destroy all this, so nothing comes after it.
    void tell_ending() {
        int left = 0;
        const CURLMsg* message = curl_multi_info_read(multi_.get(), &left);
        if (!message) return;
        if (left > 0) more_.after(std::chrono::seconds{0});
        CURL* const handle = message->easy_handle;
        const CURLcode result = message->data.result;  // the message goes with the next call
        curl_multi_remove_handle(multi_.get(), handle);
        under_way ended = std::move(transfers_.extract(handle).mapped());
        ended.done(handle, result);
    }

    selectors::loop& loop_;
    std::unordered_map<curl_socket_t, selectors::watch> watches_;
    selectors::timer timer_{loop_, [this] { act(CURL_SOCKET_TIMEOUT, 0); }};
    selectors::timer more_{loop_, [this] { tell_ending(); }};
    std::exception_ptr problem_;
    std::unique_ptr<CURLM, multi_cleanup> multi_{curl_multi_init()};
    std::unordered_map<CURL*, under_way> transfers_;
};
