// Downloads in parallel, on one thread: libcurl does the transfers, the loop does the waiting.
//
//     curl_downloads [--count N] [--connections N] [--timeout MS] [--into DIRECTORY] URL...
//
// Says of each how it ended, its bytes and how long it took, and of all of them what they cost the loop.
// Ends with 0 if all have succeeded, with 1 if one has not.
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "curl_on_loop.hpp"

namespace sel = selectors;

namespace {

constexpr const char* usage =
    "curl_downloads [--count N] [--connections N] [--timeout MS] [--into DIRECTORY] URL...\n"
    "\n"
    "  --count N         download each URL so many times (1)\n"
    "  --connections N   over at most so many connections at once (as many as there are downloads)\n"
    "  --timeout MS      give up a download after so many milliseconds (never)\n"
    "  --into DIRECTORY  save them there, as 1, 2, 3 ... in the order of the command line (throw them "
    "away)\n";

struct request {
    int count = 1;
    long connections = 0;
    long timeout = 0;
    std::string directory;
    std::vector<std::string> urls;
};

long number(std::string_view option, std::string_view text) {
    long value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > 1'000'000)
        throw std::invalid_argument(std::string{option} + " takes a number from 1 to 1000000, not \"" +
                                    std::string{text} + '"');
    return value;
}

request read_arguments(const std::vector<std::string_view>& arguments) {
    request read;
    for (auto each = arguments.begin(); each != arguments.end(); ++each) {
        const std::string_view option = *each;
        if (!option.starts_with("--")) {
            read.urls.emplace_back(option);
            continue;
        }
        if (++each == arguments.end())
            throw std::invalid_argument(std::string{option} +
                                        " is unknown or wants a value; see --help");
        if (option == "--count")
            read.count = static_cast<int>(number(option, *each));
        else if (option == "--connections")
            read.connections = number(option, *each);
        else if (option == "--timeout")
            read.timeout = number(option, *each);
        else if (option == "--into")
            read.directory = *each;
        else
            throw std::invalid_argument(std::string{option} + " is unknown; see --help");
    }
    if (read.urls.empty()) throw std::invalid_argument("which URLs? See --help");
    return read;
}

struct file_closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using file = std::unique_ptr<std::FILE, file_closer>;

template <class Value>
Value info(CURL* easy, CURLINFO what) {
    Value value{};
    curl_easy_getinfo(easy, what, &value);
    return value;
}

std::size_t throw_away(char*, std::size_t size, std::size_t count, void*) {
    return size * count;
}

class downloads {
  public:
    downloads(sel::loop& on, const request& wanted) : loop_{on}, wanted_{wanted} {
        curl_multi_setopt(transfers_.multi(), CURLMOPT_MAX_TOTAL_CONNECTIONS, wanted.connections);
        for (const std::string& url : wanted.urls)
            for (int i = 0; i < wanted.count; ++i) start(url);
    }

    /// Whether all have succeeded.
    bool run() {
        loop_.run();
        const sel::loop_stats cost = loop_.stats();
        std::printf("%d of %d succeeded: %lld bytes over %ld connections; %llu waits, %llu events, "
                    "%llu timers\n",
                    succeeded_, started_, static_cast<long long>(bytes_), connections_,
                    static_cast<unsigned long long>(cost.waits),
                    static_cast<unsigned long long>(cost.events),
                    static_cast<unsigned long long>(cost.timers));
        return succeeded_ == started_;
    }

  private:
    void start(const std::string& url) {
        curl_on_loop::easy easy{curl_easy_init()};
        file out = open(++started_);
        curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
        curl_easy_setopt(easy.get(), CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, wanted_.timeout);
        if (out)
            curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, out.get());
        else
            curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, &throw_away);
        transfers_.start(std::move(easy),
                         [this, url, out = std::move(out)](CURL* ended, CURLcode result) mutable {
                             if (out && std::fclose(out.release()) != 0 && result == CURLE_OK)
                                 result = CURLE_WRITE_ERROR;
                             report(url, ended, result);
                             if (++ended_ == started_) loop_.stop();
                         });
    }

    file open(int which) const {
        if (wanted_.directory.empty()) return {};
        const std::string path = wanted_.directory + '/' + std::to_string(which);
        file made{std::fopen(path.c_str(), "wbe")};
        if (!made) throw std::runtime_error(path + " cannot be written: " + std::strerror(errno));
        return made;
    }

    void report(const std::string& url, CURL* easy, CURLcode result) {
        const auto status = info<long>(easy, CURLINFO_RESPONSE_CODE);
        const auto bytes = info<curl_off_t>(easy, CURLINFO_SIZE_DOWNLOAD_T);
        const auto took = info<curl_off_t>(easy, CURLINFO_TOTAL_TIME_T);
        const char* why = result != CURLE_OK ? curl_easy_strerror(result)
                          : status >= 400    ? "refused"
                                             : "done";
        std::printf("%3ld %12lld bytes %9.1f ms  %s: %s\n", status, static_cast<long long>(bytes),
                    static_cast<double>(took) / 1000, url.c_str(), why);
        succeeded_ += result == CURLE_OK && status < 400;
        bytes_ += bytes;
        connections_ += info<long>(easy, CURLINFO_NUM_CONNECTS);
    }

    sel::loop& loop_;
    const request& wanted_;
    curl_on_loop transfers_{loop_};
    int started_ = 0;
    int ended_ = 0;
    int succeeded_ = 0;
    curl_off_t bytes_ = 0;
    long connections_ = 0;
};

/// What libcurl keeps for the whole process.
struct curl_library {
    curl_library() { curl_global_init(CURL_GLOBAL_DEFAULT); }
    curl_library(const curl_library&) = delete;
    curl_library& operator=(const curl_library&) = delete;
    ~curl_library() { curl_global_cleanup(); }
};

}  // namespace

int main(int argc, char** argv) try {
    const std::vector<std::string_view> arguments{argv + 1, argv + argc};
    if (!arguments.empty() && arguments.front() == "--help") {
        std::fputs(usage, stdout);
        return 0;
    }
    const request wanted = read_arguments(arguments);
    const curl_library curl;
    sel::loop loop;
    return downloads{loop, wanted}.run() ? 0 : 1;
} catch (const std::exception& problem) {
    std::fprintf(stderr, "curl_downloads: %s\n", problem.what());
    return 2;
}
