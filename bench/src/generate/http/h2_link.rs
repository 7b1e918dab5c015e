//! One HTTP/2 connection of the generator: opened when it is first needed and again when it was lost,
//! shared by its streams. It knows no pace and counts nothing.

use super::connection::refusal;
use super::reply::{Head, Rules, region_in_body};
use super::request::{field_name, path_of, write_client, write_proxy_header};
use super::{GenerateError, Options, Setup};
use crate::asks::Asks;
use crate::record::{ErrorKind, Outcome};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use std::cell::{Cell, RefCell};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// What a stream and a connection may send us before we take it: large, so that bodies flow.
const WINDOW: u32 = (1 << 30) - 1;
/// The largest frame that is taken.
const MAX_FRAME: u32 = 1 << 18;
/// The most bytes of a body that are kept to read the region from.
const MAX_KEPT: usize = 64 * 1024;

/// The connections of one thread.
pub(super) type Links = Vec<Link>;

/// The requests of a run as HTTP/2 has them, made before the load starts.
pub(super) struct Spoken {
    /// By target.
    uris: Vec<Uri>,
    /// The field that says the client, and its value by question.
    field: Option<HeaderName>,
    clients: Vec<HeaderValue>,
}

impl Spoken {
    /// The requests of `asks`.
    ///
    /// # Errors
    /// When a path or a host can't be asked for.
    pub fn new(asks: &Asks, options: &Options) -> Result<Self, GenerateError> {
        let scheme = if options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let uri = |target| {
            let path = path_of(target, options.path.as_deref())?;
            let parts = Uri::builder()
                .scheme(scheme)
                .authority(target.name.as_str());
            let uri = parts.path_and_query(path).build();
            uri.map_err(|_| GenerateError::Path(format!("{}{path}", target.name)))
        };
        let field = field_name(options.told).map(HeaderName::from_static);
        let clients = asks.list.iter().filter(|_| field.is_some()).map(|ask| {
            let mut text = String::new();
            write_client(&mut text, options.told, ask.client.address);
            HeaderValue::from_str(&text).map_err(|_| GenerateError::Path(text))
        });
        Ok(Self {
            uris: asks.targets.iter().map(uri).collect::<Result<_, _>>()?,
            clients: clients.collect::<Result<_, _>>()?,
            field,
        })
    }

    fn request(&self, asks: &Asks, ask: usize) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.uris[usize::from(asks.list[ask].target)].clone();
        if let (Some(field), Some(client)) = (&self.field, self.clients.get(ask)) {
            request.headers_mut().insert(field.clone(), client.clone());
        }
        request
    }
}

/// A connection, or the place for one.
#[derive(Default)]
pub(super) struct Link {
    sender: RefCell<Option<SendRequest<Bytes>>>,
    /// How many connections there were: whoever finds one broken closes that one and no later one.
    generation: Cell<u64>,
    /// One opens, the others wait for it.
    opening: Mutex<()>,
    /// Answers that came, over all of its connections.
    answers: Cell<u64>,
    /// The question of the one client that it belongs to, where it belongs to one.
    bound: Cell<Option<usize>>,
}

/// Why a request got no answer.
enum Lost {
    /// The server did not touch it.
    Untouched,
    /// Anything else.
    For(ErrorKind),
}

impl Link {
    pub fn bound(&self) -> Option<usize> {
        self.bound.get()
    }

    /// What keeps its connection open, to be held without it.
    pub fn into_sender(self) -> Option<SendRequest<Bytes>> {
        self.sender.into_inner()
    }

    /// How many answers came so far.
    pub fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// Closes the connection once its requests have their answers.
    pub fn close(&self) {
        self.sender.replace(None);
        self.bound.set(None);
    }

    /// Asks a question, once more where the server did not touch it the first time.
    pub async fn ask(
        &self,
        setup: &Setup<'_>,
        spoken: &Spoken,
        ask: usize,
    ) -> Result<Outcome, ErrorKind> {
        match self.ask_once(setup, spoken, ask).await {
            Ok(outcome) => outcome,
            Err(Lost::For(kind)) => Err(kind),
            Err(Lost::Untouched) => match self.ask_once(setup, spoken, ask).await {
                Ok(outcome) => outcome,
                Err(Lost::For(kind)) => Err(kind),
                Err(Lost::Untouched) => Err(ErrorKind::Broken),
            },
        }
    }

    async fn ask_once(
        &self,
        setup: &Setup<'_>,
        spoken: &Spoken,
        ask: usize,
    ) -> Result<Result<Outcome, ErrorKind>, Lost> {
        let sender = self.sender(setup, ask).await.map_err(Lost::For)?;
        let generation = self.generation.get();
        let lost = |error: h2::Error| self.lost(&error, generation);
        let mut sender = sender.ready().await.map_err(lost)?;
        let request = spoken.request(setup.asks, ask);
        let (response, _) = sender.send_request(request, true).map_err(lost)?;
        let (parts, body) = response.await.map_err(lost)?.into_parts();
        let mut head = Head::of_status(parts.status.as_u16());
        for (name, value) in &parts.headers {
            head.take(name.as_str().as_bytes(), value.as_bytes(), &setup.rules);
        }
        if !body.is_end_stream() {
            let region = skip(body, &head, &setup.rules).await;
            head.region = region.map_err(lost)?.or(head.region);
        }
        self.answers.set(self.answers.get() + 1);
        Ok(head.outcome())
    }

    /// What an error means; a connection that is no longer good is closed.
    fn lost(&self, error: &h2::Error, generation: u64) -> Lost {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let leaving = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        if !error.is_reset() && self.generation.get() == generation {
            self.close();
        }
        match () {
            () if refused || leaving => Lost::Untouched,
            () if error.is_reset() || error.is_io() || error.is_go_away() => {
                Lost::For(ErrorKind::Broken)
            }
            () => Lost::For(ErrorKind::Malformed),
        }
    }

    async fn sender(&self, setup: &Setup<'_>, ask: usize) -> Result<SendRequest<Bytes>, ErrorKind> {
        if let Some(sender) = self.sender.borrow().as_ref() {
            return Ok(sender.clone());
        }
        let _one = self.opening.lock().await;
        if let Some(sender) = self.sender.borrow().as_ref() {
            return Ok(sender.clone());
        }
        let sender = open(setup, ask).await?;
        self.generation.set(self.generation.get() + 1);
        self.bound.set(setup.tells_by_header().then_some(ask));
        self.sender.replace(Some(sender.clone()));
        Ok(sender)
    }
}

async fn open(setup: &Setup<'_>, ask: usize) -> Result<SendRequest<Bytes>, ErrorKind> {
    let options = setup.options;
    let socket = TcpStream::connect(options.server).await;
    let mut socket = socket.map_err(|error| refusal(&error))?;
    let _ = socket.set_nodelay(true);
    let mut header = Vec::new();
    let client = setup.asks.list[ask].client.address;
    write_proxy_header(&mut header, options.told, client, options.server);
    let sent = socket.write_all(&header).await;
    sent.map_err(|_| ErrorKind::Broken)?;
    let Some(secured) = setup.secured(ask) else {
        return speak(socket).await;
    };
    let tls = TlsConnector::from(secured.config).connect(secured.name, socket);
    let tls = tls.await.map_err(|_| ErrorKind::Tls)?;
    if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
        return Err(ErrorKind::Tls);
    }
    speak(tls).await
}

async fn speak<T>(socket: T) -> Result<SendRequest<Bytes>, ErrorKind>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let spoken = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(MAX_FRAME)
        .handshake(socket)
        .await;
    let (sender, connection) = spoken.map_err(|_| ErrorKind::Broken)?;
    tokio::spawn(async move {
        // What goes wrong with it, its requests are told.
        let _ = connection.await;
    });
    Ok(sender)
}

/// Reads a body to its end, and the region from it where it is wanted.
async fn skip(
    mut body: RecvStream,
    head: &Head,
    rules: &Rules,
) -> Result<Option<Outcome>, h2::Error> {
    let wanted = rules.region_in_body && head.region.is_none() && head.status < 400;
    let mut kept = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        if wanted {
            let room = MAX_KEPT.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(&data[..room]);
        }
        // Only a stream that ended refuses, and then there is nothing to give back.
        let _ = body.flow_control().release_capacity(data.len());
    }
    Ok(wanted.then(|| region_in_body(&kept, rules)).flatten())
}
