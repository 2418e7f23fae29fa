//! Whatever is wrong with the tap, the gateway serves; and Kong's own Lua code finds all as it left it.
use certdrift_contract::tap::{Connection, Kind};
use certdrift_tests::certs::{Ca, Leaf, wish};
use certdrift_tests::nginx::{Nginx, Plan, request};
use certdrift_tests::openssl::Client;
use certdrift_tests::process::free_port;
use std::net::SocketAddr;

struct Site {
    plan: Plan,
    address: SocketAddr,
    demo: Leaf,
    folder: tempfile::TempDir,
}

/// Serves `location` for `demo.example.com`, unless told otherwise the tap's word.
fn site(location: &str) -> Site {
    let ca = Ca::new("certdrift test CA").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = ca.issue(&wish(&["demo.example.com"])).unwrap();
    let (crt, key) = demo.write(folder.path(), "demo").unwrap();
    let port = free_port();
    let plan = Nginx::with_workers(1).tap().server(&format!(
        "listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; {location}",
        crt.display(),
        key.display()
    ));
    Site { plan, address: SocketAddr::from(([127, 0, 0, 1], port)), demo, folder }
}

const WORD: &str = "location / { return 200 \"TAP $certdrift END\"; }";

fn kind(address: SocketAddr) -> Kind {
    let seen = Client::new(address).sni("demo.example.com").ask(" END").unwrap();
    let from = seen.output.rfind("TAP ").unwrap() + 4;
    let to = seen.output.rfind(" END").unwrap();
    Connection::parse(&seen.output.as_bytes()[from..to]).unwrap().kind
}

#[test]
fn without_its_lua_file_the_variable_says_unknown_and_requests_are_served() {
    let Site { plan, address, folder: _folder, .. } = site(WORD);
    let nginx = plan.edit("/etc/certdrift/certdrift.lua", "/nowhere/certdrift.lua").start().unwrap();
    assert_eq!((kind(address), kind(address)), (Kind::Unknown, Kind::Unknown));
    assert_eq!(nginx.error_log().matches("the tap is off in this worker").count(), 1, "said once");
    assert_eq!(request(nginx.tap_address(), "GET", "/tap", &[]).unwrap().status, 500);
}

#[test]
fn a_lua_file_cut_short_is_as_none() {
    let Site { plan, address, folder: _folder, .. } = site(WORD);
    let _nginx = plan.edit("local tap = {}", "local tap = {").start().unwrap();
    assert_eq!(kind(address), Kind::Unknown);
}

#[test]
fn a_function_openssl_does_not_have_makes_connections_unknown_and_is_said_once() {
    let Site { plan, address, folder: _folder, .. } = site(WORD);
    let nginx = plan.edit("__asm__(\"X509_digest\")", "__asm__(\"X509_digest_of_old\")").start().unwrap();
    assert_eq!((kind(address), kind(address)), (Kind::Unknown, Kind::Unknown));
    assert_eq!(nginx.error_log().matches("connections count as unknown").count(), 1);
    let report = nginx.tap_report().unwrap();
    assert_eq!((report.workers[0].unknown, report.workers[0].full), (2, 0), "{report:?}");
}

#[test]
fn without_its_dictionary_the_variable_still_tells_and_the_report_says_what_is_missing() {
    let Site { plan, address, folder: _folder, .. } = site(WORD);
    let nginx = plan
        .edit("lua_shared_dict certdrift 4m;", "")
        .edit("lua_shared_dict certdrift_rows 32m;", "")
        .start()
        .unwrap();
    assert_eq!(kind(address), Kind::Full);
    let answer = request(nginx.tap_address(), "GET", "/tap", &[]).unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("lua_shared_dict"), "{}", answer.body);
}

#[test]
fn kongs_openssl_library_gets_the_declarations_it_asks_for() {
    // As lua-resty-openssl declares them, with other types than the tap's; LuaJIT keeps the first declaration of a name.
    let Site { plan, address, folder: _folder, .. } = site(
        "location / { content_by_lua_block {
            local ffi = require 'ffi'
            ffi.cdef[[
                typedef struct x509_st X509; typedef struct ssl_st SSL;
                X509 *SSL_get_certificate(const SSL *ssl);
                X509 *X509_get_subject_name(const X509 *x);
            ]]
            ngx.say('TAP ', ngx.var.certdrift, ' END')
            for _, name in ipairs { 'SSL_get_certificate', 'X509_get_subject_name' } do
                ngx.say(tostring(ffi.typeof(ffi.C[name])))
            end
            ngx.say('DONE')
        } }",
    );
    let _nginx = plan.start().unwrap();
    let seen = Client::new(address).sni("demo.example.com").ask("DONE").unwrap();
    assert!(seen.output.contains("TAP v1 full"), "{}", seen.output);
    assert_eq!(seen.output.matches("ctype<struct x509_st *()>").count(), 2, "{}", seen.output);
}

#[test]
fn kongs_tls_module_is_asked_first_and_one_that_refuses_is_passed_by() {
    for (answer, called) in
        [("error('API disabled in the current context')", true), ("return nil, 'no'", true)]
    {
        let Site { plan, address, demo, folder: _folder } = site(
            "location / { content_by_lua_block {
                ngx.say('TAP ', ngx.var.certdrift, ' END ', tostring(package.loaded.asked))
            } }",
        );
        let nginx = plan
            .http(&format!(
                "init_by_lua_block {{ package.preload['resty.kong.tls'] = function() return {{
                    get_request_ssl_pointer = function() package.loaded.asked = true; {answer} end
                }} end }}"
            ))
            .start()
            .unwrap();
        let seen = Client::new(address).sni("demo.example.com").ask(&format!(" END {called}")).unwrap();
        assert!(seen.output.contains(&demo.fingerprint.to_string()), "{}", seen.output);
        assert_eq!(nginx.tap_report().unwrap().workers[0].full, 1);
    }
}

#[test]
fn kongs_timer_wheel_is_not_used() {
    let Site { plan, address, folder: _folder, .. } = site(WORD);
    let nginx = plan
        .http(
            "init_worker_by_lua_block {
                _G.native_timer_at = ngx.timer.at
                ngx.timer.at = function() error('a timer of ten years is not for the wheel') end
            }",
        )
        .start()
        .unwrap();
    assert_eq!(kind(address), Kind::Full);
    let before = nginx.tap_report().unwrap();
    nginx.reload().unwrap();
    let after = nginx.tap_report().unwrap();
    assert_ne!(before.workers[0].pid, after.workers[0].pid);
    assert!(!nginx.error_log().contains("for the wheel"), "{}", nginx.error_log());
}

#[test]
fn requests_within_requests_count_one_connection() {
    let Site { plan, address, folder: _folder, .. } = site(
        "location / { content_by_lua_block {
            local inner = ngx.location.capture('/inner')
            ngx.say(inner.body, ngx.var.certdrift, ' END')
        } }
        location = /inner { internal; return 200 \"TAP $certdrift \"; }",
    );
    let nginx = plan.start().unwrap();
    let seen = Client::new(address).sni("demo.example.com").ask(" END").unwrap();
    assert_eq!(seen.output.matches("v1 full ").count(), 2, "{}", seen.output);
    assert_eq!(nginx.tap_report().unwrap().workers[0].full, 1);
}
