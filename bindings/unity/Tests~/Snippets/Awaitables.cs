#if UNITY_2023_1_OR_NEWER
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Cysharp.Threading.Tasks;
using Framewire;
using Framewire.Tests;
using NUnit.Framework;
using UnityEngine;

// Runs the snippets of the manual that use await.

public sealed class Awaitables
{
    private readonly List<string> _lines = new List<string>();

    [Test]
    public void SnippetOfTheManualRuns()
    {
        Finish(Chat(Server.Plain("/text?n=2&size=5"), CancellationToken.None));
        Assert.AreEqual("0xxxx,1xxxx,closed 1000 done", string.Join(",", _lines.ToArray()));
    }

    private async Task Chat(Uri uri, CancellationToken cancellation)
    {
        using (var webSocket = new Framewire.WebSocket(uri))
        {
            await webSocket.OpenAsync(cancellation);
            webSocket.Send("hello");
            while (true)
            {
                WebSocketMessage message = await webSocket.ReceiveAsync(cancellation);
                if (message.IsClosed)
                {
                    _lines.Add("closed " + message.CloseCode + " " + message.CloseReason);
                    break;
                }
                _lines.Add(message.Text);
            }
        }
    }

    [Test]
    public void AwaitableCompletesInsideDispatchAll()
    {
        var task = Awaitable();
        Pump.Until(() => task.GetAwaiter().IsCompleted);
        Assert.AreEqual("echo", task.GetAwaiter().GetResult());
    }

    private static async Awaitable<string> Awaitable()
    {
        using (var webSocket = new Framewire.WebSocket(Server.Plain("/")))
        {
            await webSocket.OpenAwaitable();
            webSocket.Send("echo");
            WebSocketMessage message = await webSocket.ReceiveAwaitable();
            string text = message.Text;
            await webSocket.CloseAwaitable();
            return text;
        }
    }

    [Test]
    public void UniTaskCompletesInsideDispatchAll()
    {
        var task = UniTask();
        Pump.Until(() => task.GetAwaiter().IsCompleted);
        Assert.AreEqual("echo", task.GetAwaiter().GetResult());
    }

    private static async UniTask<string> UniTask()
    {
        using (var webSocket = new Framewire.WebSocket(Server.Plain("/")))
        {
            await webSocket.OpenUniTask();
            webSocket.Send("echo");
            WebSocketMessage message = await webSocket.ReceiveUniTask();
            string text = message.Text;
            await webSocket.CloseUniTask();
            return text;
        }
    }

    private static void Finish(Task task)
    {
        Pump.Until(() => task.IsCompleted);
        task.GetAwaiter().GetResult();
    }
}
#endif
