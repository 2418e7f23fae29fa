//! A proxy-wasm filter that does on command what certdrift's must never do. The command is its configuration, a word:
//!
//! | word | what it does |
//! |---|---|
//! | `refuse` | returns false from `on_configure` |
//! | `trap-on-configure`, `trap-on-request`, `trap-on-tick` | traps there |
//! | `poll` | on each tick calls `GET http://127.0.0.1:8787/ledger.json`, through the SDK, and logs what came |
//! | `poll-name` | the same to `localhost:8787` |
//! | `property-in-root` | asks for `ngx.certdrift` in its root context |
//! | `shared-data` | writes shared data in `on_configure` |
//! | `property` | logs what `ngx.certdrift` is in each request |
//! | `answer` | answers each request itself |
//! | `leak` | keeps a kilobyte of each request for ever |
//! | `spin` | never returns from a tick |
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MapType};
use std::time::Duration;

mod entry {
    proxy_wasm::main! {{
        proxy_wasm::set_root_context(|_| Box::new(super::Odd { word: String::new() }));
    }}
}

struct Odd {
    word: String,
}

impl Odd {
    fn poll(&self, upstream: &str) {
        let headers = vec![(":method", "GET"), (":path", "/ledger.json"), (":authority", "ledger")];
        let sent = self.dispatch_http_call(upstream, headers, None, vec![], Duration::from_secs(2));
        if let Err(status) = sent {
            say(&format!("call refused by the host: {status:?}"));
        }
    }
}

impl Context for Odd {
    fn on_http_call_response(&mut self, _token: u32, headers: usize, size: usize, _trailers: usize) {
        let read =
            |name| hostcalls::get_map_value(MapType::HttpCallResponseHeaders, name).unwrap_or_default();
        let status = read(":status").unwrap_or_default();
        let dispatch = read(":dispatch_status").unwrap_or_default();
        let body = self.get_http_call_response_body(0, size).unwrap_or_default();
        say(&format!("answer: headers={headers} status={status} dispatch={dispatch} body={}", body.len()));
    }
}

impl RootContext for Odd {
    fn on_configure(&mut self, _size: usize) -> bool {
        self.word =
            self.get_plugin_configuration().and_then(|c| String::from_utf8(c).ok()).unwrap_or_default();
        self.set_tick_period(Duration::from_secs(1));
        match self.word.as_str() {
            "trap-on-configure" => panic!("told to"),
            "property-in-root" => {
                let _ = self.get_property(vec!["ngx", "certdrift"]);
            }
            "shared-data" => {
                let _ = self.set_shared_data("key", Some(b"value"), None);
            }
            _ => {}
        }
        self.word != "refuse"
    }

    fn on_tick(&mut self) {
        say("tick");
        match self.word.as_str() {
            "trap-on-tick" => panic!("told to"),
            "poll" => self.poll("127.0.0.1:8787"),
            "poll-name" => self.poll("localhost:8787"),
            "spin" => loop {
                std::hint::black_box(());
            },
            _ => {}
        }
    }

    fn create_http_context(&self, _context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Odd { word: self.word.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl HttpContext for Odd {
    fn on_http_request_headers(&mut self, _headers: usize, _end: bool) -> Action {
        match self.word.as_str() {
            "trap-on-request" if self.get_http_request_header(":path").as_deref() == Some("/trap") => {
                panic!("told to")
            }
            "leak" => std::mem::forget(std::hint::black_box(vec![1u8; 1024])),
            "answer" => {
                self.send_http_response(418, vec![("x-odd", "yes")], Some(b"odd"));
                return Action::Pause;
            }
            "property" => {
                let value = self.get_property(vec!["ngx", "certdrift"]);
                say(&format!("property: {value:?}"));
            }
            _ => {}
        }
        Action::Continue
    }
}

fn say(text: &str) {
    let _ = hostcalls::log(LogLevel::Info, text);
}
